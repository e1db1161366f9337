// Two hosts and three containers for one contestant.
//
//   c1, c3 in host a ── und0 10.200.0.1 ═══ underlay, a veth pair ═══ 10.200.0.2 und0 ── host b with c2
//
// Every box is a network namespace. The contestant gives each container an interface `eth0`.
import { setTimeout as pause } from 'node:timers/promises';

const patienceMillis = 20_000;
const pollMillis = 100;

/** What veth pairs do beyond a plain NIC: they pass superframes whole. */
const beyondPlain = [
  'tso',
  'gso',
  'tx-udp-segmentation',
  'tx-udp_tnl-segmentation',
  'tx-udp_tnl-csum-segmentation',
];

/** The underlay interface of both hosts. */
export const underlayIfname = 'und0';
/** MTU of the containers: the underlay's 1500 less VXLAN over IPv4. */
export const containerMtu = 1450;

/**
 * Builds a site; `label` is part of the namespaces' names. `underlay` is `full` (veth as made), `wire` (packets of at
 * most the MTU cross, as on a NIC without tunnel offload) or `wire-gro` (and who receives them joins them).
 */
export async function buildSite(lab, label, underlay) {
  const host = async (name, n) => ({
    name,
    namespace: await lab.namespace(`${label}-${name}`),
    address: `10.200.0.${n}`,
  });
  const container = async (n) => {
    const namespace = await lab.namespace(`${label}-c${n}`);
    await lab.sysctl(namespace, containerSettings);
    return { name: `c${n}`, namespace, address: `10.0.0.${n}`, mac: `02:42:0a:00:00:0${n}` };
  };
  const [a, b] = [await host('a', 1), await host('b', 2)];
  const [c1, c2, c3] = [await container(1), await container(2), await container(3)];
  await joinByVeth(lab, {
    ends: [a, b].map(({ namespace }) => ({ namespace, ifname: underlayIfname })),
    mtu: 1500,
    underlay,
  });
  for (const { namespace, address } of [a, b]) {
    await lab.ip(namespace, [`address add ${address}/24 dev ${underlayIfname}`]);
  }
  return { label, underlay, a: { ...a, containers: [c1, c3] }, b: { ...b, containers: [c2] } };
}

/** Joins two namespaces by a veth pair, cut as `underlay` says. */
export async function joinByVeth(lab, { ends: [a, b], mtu, underlay = 'full' }) {
  await lab.ip(a.namespace, [
    `link add name ${a.ifname} mtu ${mtu} type veth peer name ${b.ifname} mtu ${mtu} netns ${b.namespace}`,
  ]);
  for (const { namespace, ifname } of [a, b]) {
    if (underlay !== 'full') await switchOff(lab, { namespace, ifname }, beyondPlain);
    if (underlay === 'wire-gro') {
      await lab.inside(namespace, ['ethtool', '-K', ifname, 'gro', 'on']);
    }
    await lab.ip(namespace, [`link set dev ${ifname} up`]);
  }
}

/** Gives a container its eth0 as one end of a veth pair; the host's end is called as the container. */
export async function joinContainer(lab, host, container) {
  const ends = [
    { namespace: container.namespace, ifname: 'eth0' },
    { namespace: host.namespace, ifname: container.name },
  ];
  await joinByVeth(lab, { ends, mtu: containerMtu });
  await lab.ip(container.namespace, [
    `link set dev eth0 address ${container.mac}`,
    `address add ${container.address}/24 dev eth0`,
  ]);
}

/** Switches offloads of an interface off, by their names in ethtool. */
export async function switchOff(lab, { namespace, ifname }, offloads) {
  const flags = offloads.flatMap((name) => [name, 'off']);
  await lab.inside(namespace, ['ethtool', '-K', ifname, ...flags]);
}

/** Waits until `probe` neither throws nor is false; throws its last error after a while. */
export async function until(what, probe, signal) {
  for (const deadline = Date.now() + patienceMillis; ; ) {
    let trouble = '';
    try {
      if (await probe()) return;
    } catch (error) {
      signal.throwIfAborted();
      trouble = `: ${error.message}`;
    }
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}${trouble}`);
    await pause(pollMillis, undefined, { signal });
  }
}

const containerSettings = {
  // Thousands of short connections a second: TIME_WAIT would hold every port after seconds.
  'ipv4/tcp_tw_reuse': 1,
  'ipv4/ip_local_port_range': '1024 65535',
  'ipv4/tcp_max_tw_buckets': 2000,
  // What one run learned of a path may not shape the next one.
  'ipv4/tcp_no_metrics_save': 1,
};
