/**
 * A network whose flood list is a multicast group of the underlay, with a kernel vxlan in the same group.
 *
 *   c1 ── vswitchd (host one) ══ underlay, group 239.1.1.1 ══ kernel vxlan (host two) ── c2
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  connectContainer,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const GROUP = '239.1.1.1';
const scope = fileScope();
let one: Host;
let two: Host;
let c1: Container;
let c2: Container;
let vswitchd: Vswitchd;

beforeAll(async () => {
  [one, two] = (await createUnderlay(scope, { hosts: ['one', 'two'] })).hosts as [Host, Host];
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  await two.namespace.ip(`
    link add name vx0 type vxlan id 256 dstport 4789 local ${two.address[4]} group ${GROUP} dev ${UNDERLAY_IFNAME}
    link add name br0 type bridge mcast_snooping 0
    link set dev vx0 mtu 1450 master br0
    link set dev vx0 up
    link set dev br0 up
  `);
  await connectContainer(two, c2, { peerIfname: 'c2', mtu: 1450 });
  await two.namespace.ip('link set dev c2 master br0');
  vswitchd = await Vswitchd.start(scope, one, { networks: [network()] });
});

function network(group: { readonly ttl?: number } = {}) {
  return {
    name: 'net',
    vni: 256,
    group: { address: GROUP, interface: UNDERLAY_IFNAME, ...group },
    ports: [portOf(c1)],
  };
}

test('[A13] [J178] both ends find each other through the group, nothing comes back', async () => {
  await expectPing(c1, { to: c2.address[4] });
  await expectPing(c2, { to: c1.address[6] });
  await vswitchd.learned(c2.mac, { vtep: two.address[4] });
  await vswitchd.learned(c1.mac, { port: 'c1' });
  await expectTransfer({ from: c2, to: c1, family: 4, bytes: 1_000_000 });
});

test('[E91] what goes to the group has TTL 1, or the one configured; what goes to a VTEP has 64', async () => {
  expect(await outerTtls()).toEqual(new Set([`${GROUP} 1`, `${two.address[4]} 64`]));
  await vswitchd.reload([network({ ttl: 3 })]);
  expect(await outerTtls()).toEqual(new Set([`${GROUP} 3`, `${two.address[4]} 64`]));
});

/** Destinations and TTLs of the datagrams of a ping that has to ask for its neighbour. */
async function outerTtls(): Promise<ReadonlySet<string>> {
  const where = { namespace: two.namespace, ifname: UNDERLAY_IFNAME };
  const capture = await Capture.start(testScope(), where, `udp and src host ${one.address[4]}`);
  await c1.namespace.exec('ip', ['neigh', 'flush', 'all']);
  await expectPing(c1, { to: c2.address[4] });
  const rows = await capture.decode(['ip.dst', 'ip.ttl'], 'vxlan');
  return new Set(rows.map((row) => `${row['ip.dst']} ${row['ip.ttl']}`));
}
