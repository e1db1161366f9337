/**
 * The FDB as traffic makes it. Hosts two and three only forge.
 *
 *   forgers (hosts two, three) ══ underlay ══ vswitchd (host one) ┬ c1   network net, ageing 3 s
 *                                                                └ c4   network steady, no ageing
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST, numberedMac } from '../support/frames.js';
import { isMarked, markedFrame, textOf } from '../support/marked.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portArguments, portOf, Vswitchd } from '../support/vswitchd.js';
import { sendOverVxlan } from '../support/vxlanForge.js';

const AGEING = { name: 'net', vni: 256 };
const STEADY = { name: 'steady', vni: 257 };
const scope = fileScope();
let one: Host;
let two: Host;
let three: Host;
let c1: Container;
let c4: Container;
let vswitchd: Vswitchd;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
  [one, two, three] = hosts as [Host, Host, Host];
  c1 = await createContainer(scope, 'c1', 1);
  c4 = await createContainer(scope, 'c4', 4);
  const peers = [two.address[4]];
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [
      { ...AGEING, peers: [...peers, three.address[4]], ports: [portOf(c1)], ageing: 3 },
      { ...STEADY, peers, ports: [portOf(c4)], ageing: 0 },
    ],
  });
});

/** A broadcast from `mac` arrives from that host. */
async function speak(from: Host, network: { readonly vni: number }, mac: string): Promise<void> {
  const frame = markedFrame(BROADCAST, mac, `${mac} at ${from.name}`);
  await sendOverVxlan({ from, to: one, vni: network.vni }, [frame]);
}

async function known(network: { readonly name: string }): Promise<readonly string[]> {
  return (await vswitchd.fdb(network.name)).map((entry) => entry.mac);
}

test('[D54] [D55] a MAC is learned from its VTEP, moves to another at once, and the frame is delivered', async () => {
  const mac = numberedMac(1);
  const { moved } = (await vswitchd.network(AGEING.name)).fdb;
  const capture = await Capture.start(testScope(), c1);
  await speak(two, AGEING, mac);
  await vswitchd.learned(mac, { vtep: two.address[4] });
  await speak(three, AGEING, mac);
  await vswitchd.learned(mac, { vtep: three.address[4] });
  expect((await vswitchd.network(AGEING.name)).fdb.moved).toBe(moved + 1);
  expect((await capture.waitFor(2, isMarked)).map(textOf)).toEqual([
    `${mac} at two`,
    `${mac} at three`,
  ]);
});

test('[D56] a MAC moves from a VTEP to a local port and back', async () => {
  const mac = numberedMac(2);
  await speak(two, STEADY, mac);
  await vswitchd.learned(mac, { vtep: two.address[4] });
  await sendFrames(c4, [markedFrame(BROADCAST, mac, 'here')]);
  await vswitchd.learned(mac, { port: 'c4' });
  await speak(two, STEADY, mac);
  await vswitchd.learned(mac, { vtep: two.address[4] });
  expect((await known(STEADY)).filter((entry) => entry === mac)).toHaveLength(1);
});

test('[D60] [D62] an idle MAC is forgotten after the ageing time; with ageing 0 it stays', async () => {
  const mac = numberedMac(3);
  const { aged } = (await vswitchd.network(AGEING.name)).fdb;
  await speak(two, STEADY, mac);
  await speak(two, AGEING, mac);
  await vswitchd.learned(mac, { vtep: two.address[4] });
  await eventually('ageing', async () => !(await known(AGEING)).includes(mac));
  expect((await vswitchd.network(AGEING.name)).fdb.aged).toBeGreaterThan(aged);
  expect(await known(STEADY)).toContain(mac);
});

test('[D61] traffic to a MAC does not keep it', async () => {
  const mac = numberedMac(4);
  await speak(two, AGEING, mac);
  await vswitchd.learned(mac, { vtep: two.address[4] });
  await eventually('ageing while we send to it', async () => {
    await sendFrames(c1, [markedFrame(mac, c1.mac, 'to it')]);
    return !(await known(AGEING)).includes(mac);
  });
});

test('[D63] a port that goes takes its learned MACs along', async () => {
  const container = await createContainer(testScope(), 'c5', 5);
  await vswitchd.ctl('port', 'add', STEADY.name, ...portArguments(container));
  const mac = numberedMac(5);
  await sendFrames(container, [markedFrame(BROADCAST, mac, 'here')]);
  await vswitchd.learned(mac, { port: 'c5' });
  await vswitchd.ctl('port', 'rm', 'c5');
  expect(await known(STEADY)).not.toContain(mac);
});

test('[D64] a VTEP that is removed takes its learned MACs along, others stay', async () => {
  await vswitchd.ctl('peer', 'add', STEADY.name, three.address[4]);
  const [gone, stays] = [numberedMac(6), numberedMac(7)];
  await speak(three, STEADY, gone);
  await speak(two, STEADY, stays);
  await vswitchd.learned(gone, { vtep: three.address[4] });
  await vswitchd.learned(stays, { vtep: two.address[4] });
  await vswitchd.ctl('peer', 'rm', STEADY.name, three.address[4]);
  expect(await known(STEADY)).not.toContain(gone);
  expect(await known(STEADY)).toContain(stays);
});

test('[O253] the counters still add up when a network that was used is removed', async () => {
  const extra = { name: 'extra', vni: 300 };
  const { datagrams } = (await vswitchd.counters()).underlay;
  await vswitchd.ctl('network', 'add', extra.name, '--vni', '300', '--peer', two.address[4]);
  await speak(two, extra, numberedMac(10));
  await vswitchd.learned(numberedMac(10), { vtep: two.address[4] });
  await vswitchd.ctl('network', 'rm', extra.name);
  await vswitchd.balanced();
  expect((await vswitchd.counters()).underlay.datagrams).toBe(datagrams + 1);
});

test('[D73] a static entry can be replaced, flush leaves it and forgets what was learned', async () => {
  const [fixed, learned] = [numberedMac(8), numberedMac(9)];
  await vswitchd.ctl('fdb', 'add', STEADY.name, fixed, '--vtep', two.address[4]);
  await vswitchd.learned(fixed, { vtep: two.address[4] });
  await speak(two, STEADY, learned);
  await vswitchd.learned(learned, { vtep: two.address[4] });
  await vswitchd.ctl('fdb', 'flush', STEADY.name);
  expect(await known(STEADY)).toContain(fixed);
  expect(await known(STEADY)).not.toContain(learned);
  await vswitchd.ctl('fdb', 'rm', STEADY.name, fixed);
  expect(await known(STEADY)).not.toContain(fixed);
});
