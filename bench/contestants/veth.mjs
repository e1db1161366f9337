// No network between the containers at all, a veth pair alone: the limit.
import { containerMtu, joinByVeth } from '../lab/site.mjs';

const localAddress = '10.0.1.3';

/** Joins c1 to c2 as the underlay is cut, and c1 to c3. */
export async function startVeth(lab, site) {
  const [c1, c3] = site.a.containers;
  const [c2] = site.b.containers;
  const ends = (a, b) => [
    { namespace: a.namespace, ifname: `to-${b.name}` },
    { namespace: b.namespace, ifname: `to-${a.name}` },
  ];
  await joinByVeth(lab, { ends: ends(c1, c2), mtu: containerMtu, underlay: site.underlay });
  await joinByVeth(lab, { ends: ends(c1, c3), mtu: containerMtu });
  await lab.ip(c1.namespace, [
    `address add ${c1.address}/24 dev to-c2`,
    'address add 10.0.1.1/24 dev to-c3',
  ]);
  await lab.ip(c2.namespace, [`address add ${c2.address}/24 dev to-c1`]);
  await lab.ip(c3.namespace, [`address add ${localAddress}/24 dev to-c1`]);
  return { pids: [], localAddress };
}
