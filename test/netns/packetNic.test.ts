/**
 * A NIC as a packet port: the stations of a network segment behind it. An end of a veth pair stands for the NIC.
 *
 *   s1, s2 ── bridge (namespace lan) ── nic0, packet port ┐
 *   a container of vswitchd's ── TAP ─────────────────────┴ vswitchd (host one) ══ kernel vxlan (host two) ── c4
 */

import { beforeAll, expect, test } from 'vitest';
import type { PortView } from '../../src/control/client.js';
import { eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST, ETHERTYPE, ethernet } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { connect, createNamespace } from '../support/netns.js';
import { silence } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import {
  type Container,
  connectContainer,
  createContainer,
  createUnderlay,
  type Host,
} from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
const MTU = 1450;
const SUBNET = ['--subnet', '10.0.0.0/24', '--range', '10.0.0.128/25'];
let one: Host;
let vswitchd: Vswitchd;
let stations: readonly Container[];
let c4: Container;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
  const [first, two] = hosts as [Host, Host];
  one = first;
  stations = [await createContainer(scope, 's1', 11), await createContainer(scope, 's2', 12)];
  await createSegment();
  c4 = await createContainer(scope, 'c4', 4);
  const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
  await kernel.attach(c4);
  vswitchd = await Vswitchd.start(scope, one, { networks: [] });
  await vswitchd.ctl('network', 'add', 'net', '--vni', '256', '--peer', two.address[4], ...SUBNET);
  await vswitchd.ctl('port', 'add', 'net', '--kind', 'packet', '--ifname', 'nic0');
});

/** A switch of somebody else's with two stations, and the cable from it to the NIC. */
async function createSegment(): Promise<void> {
  const namespace = await createNamespace(scope, 'lan');
  await namespace.ip(
    `link add name lan mtu ${MTU} type bridge mcast_snooping 0\nlink set dev lan up`,
  );
  await connect(
    { namespace: one.namespace, ifname: 'nic0', mtu: MTU },
    { namespace, ifname: 'cable' },
  );
  await silence(one, 'nic0');
  for (const station of stations) {
    const place = { name: 'lan', namespace, address: one.address };
    await connectContainer(place, station, { peerIfname: station.name, mtu: MTU });
  }
  for (const ifname of ['cable', ...stations.map(({ name }) => name)]) {
    await namespace.ip(`link set dev ${ifname} master lan`);
  }
}

test('every station behind it reaches the other host, and is reached', async () => {
  for (const station of stations) {
    await expectPing(station, { to: c4.address[4] });
    await expectPing(c4, { to: station.address[6], size: 1402 });
    await expectTransfer({ from: station, to: c4, family: 4, bytes: 1_000_000 });
    await expectUdpEcho({ from: c4, to: station, family: 4 }, { flows: 2, count: 10, size: 1200 });
  }
  const entries = await vswitchd.fdb('net');
  const behind = entries.filter(({ port }) => port === 'nic0').map(({ mac }) => mac);
  expect(behind).toEqual(expect.arrayContaining(stations.map(({ mac }) => mac)));
});

test('containers get addresses beside those of the stations, and reach them', async () => {
  const container = await createContainer(scope, 'c1', 200);
  await vswitchd.ctl('port', 'add', 'net', '--name', 'c1', '--netns', container.namespace.name);
  const ports = await vswitchd.ctl<PortView[]>('port', 'ls');
  const own = (name: string) => ports.find((port) => port.name === name)?.addresses;
  expect(own('c1')).toEqual([expect.stringMatching(/^10\.0\.0\.(12[89]|1[3-9]\d|2\d\d)\/24$/)]);
  expect(own('nic0')).toEqual([]);
  for (const station of stations) await expectPing(container, { to: station.address[4] });
});

test('tagged frames of a station are dropped by name, as those of a container', async () => {
  const [{ mac: src } = { mac: '' }] = stations;
  const before = await vswitchd.drops('rx.inner_vlan');
  const header = { dst: BROADCAST, src, tags: [{ vid: 5 }], type: ETHERTYPE.experimental };
  await sendFrames(stations[0] as Container, [ethernet(header, Buffer.alloc(60))]);
  await eventually('dropped', async () => (await vswitchd.drops('rx.inner_vlan')) > before);
});

test('the NIC hears frames for every MAC while it is a port, and keeps its settings', async () => {
  const look = () => one.namespace.ipJson<object[]>('link', 'show', 'dev', 'nic0');
  const [during] = await look();
  expect(during).toMatchObject({ promiscuity: 1, mtu: MTU });
  await vswitchd.balanced();
  await vswitchd.ctl('port', 'rm', 'nic0');
  expect(await look()).toEqual([{ ...during, promiscuity: 0 }]);
});
