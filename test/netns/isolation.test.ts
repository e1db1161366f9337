/**
 * Two networks on one socket, with the same addresses and the same MACs in both.
 *
 *   red1, blue1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── red2, blue2
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { allOf, eventually } from '../support/eventually.js';
import { sendFrames, sendPackets } from '../support/forge.js';
import { BROADCAST, ethernet, ipv4, PROTOCOL, udp, vxlan } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { isMarked, markedFrame, textOf } from '../support/marked.js';
import { connect } from '../support/netns.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const COLOURS = [
  { colour: 'red', vni: 256 },
  { colour: 'blue', vni: 257 },
] as const;

interface Ends {
  readonly here: Container;
  readonly there: Container;
}

const scope = fileScope();
let vswitchd: Vswitchd;
let red: Ends;
let blue: Ends;

beforeAll(async () => {
  const [one, two] = (await createUnderlay(scope, { hosts: ['one', 'two'] })).hosts as [Host, Host];
  const ends: Ends[] = [];
  for (const [index, { colour, vni }] of COLOURS.entries()) {
    const here = await createContainer(scope, `${colour}1`, 1);
    const there = await createContainer(scope, `${colour}2`, 2);
    const peers = [one.address[4]];
    const kernel = await createKernelVxlan(two, { vni, family: 4, peers, index });
    await kernel.attach(there);
    ends.push({ here, there });
  }
  [red, blue] = ends as [Ends, Ends];
  vswitchd = await Vswitchd.start(scope, one, {
    networks: COLOURS.map(({ colour, vni }, index) => ({
      name: colour,
      vni,
      peers: [two.address[4]],
      ports: [portOf(ends[index]?.here as Container)],
    })),
  });
});

test('[M226] frames of one network never come to the other', async () => {
  const captures = await Promise.all(
    [red.here, red.there, blue.here, blue.there].map((where) => Capture.start(testScope(), where)),
  );
  for (const [colour, { here, there }] of Object.entries({ red, blue })) {
    for (const from of [here, there]) {
      await sendFrames(from, [
        markedFrame(BROADCAST, from.mac, colour),
        markedFrame('02:00:00:00:66:66', from.mac, colour),
      ]);
    }
  }
  for (const [index, capture] of captures.entries()) {
    // Its own two and the two from the other end.
    const texts = (await capture.waitFor(4, isMarked)).map(textOf);
    expect(new Set(texts)).toEqual(new Set([index < 2 ? 'red' : 'blue']));
    expect(texts).toHaveLength(4);
  }
});

test('[M226] [D65] both are used at the same time with the same MACs and addresses', async () => {
  await allOf(
    [red, blue].flatMap(({ here, there }) => [
      expectTransfer({ from: here, to: there, family: 4, bytes: 2_000_000 }),
      expectPing(there, { to: here.address[6], count: 20 }),
    ]),
  );
  for (const { colour } of COLOURS) {
    const entries = (await vswitchd.fdb()).filter((entry) => entry.network === colour);
    const at = (mac: string) => entries.filter((entry) => entry.mac === mac);
    expect(at(red.here.mac).map((entry) => entry.port)).toEqual([`${colour}1`]);
    expect(at(red.there.mac).map((entry) => entry.vtep)).toEqual(['10.200.0.2']);
  }
});

test('[M226] counters of a quiet network stand still while the other works', async () => {
  const quiet = async () => (await vswitchd.network('blue')).ports.map((port) => port.rx_frames);
  for (const { namespace, ifname } of [blue.here, blue.there]) {
    await namespace.sysctl({ [`ipv6/conf/${ifname}/disable_ipv6`]: 1 });
    await namespace.exec('ip', ['neigh', 'flush', 'all']);
  }
  const before = await quiet();
  await expectTransfer({ from: red.here, to: red.there, family: 4, bytes: 2_000_000 });
  expect(await quiet()).toEqual(before);
});

/** A frame for blue in a VXLAN datagram for the VTEP, as a container of red would forge it. */
function smuggled(src: string): { readonly packet: Buffer; readonly destination: string } {
  const destination = vswitchd.host.address[4];
  const ends = { src, dst: destination };
  const ports = { sourcePort: 50_000, destinationPort: 4789 };
  const inner = markedFrame(BROADCAST, red.here.mac, 'smuggled');
  const datagram = udp(ends, ports, vxlan({ vni: 257 }, inner));
  return { packet: ipv4({ ...ends, protocol: PROTOCOL.udp }, datagram), destination };
}

/** Of blue's captures, after everything before: nothing has come but blue's own. */
async function expectClean(captures: readonly Capture[]): Promise<void> {
  await sendFrames(blue.there, [markedFrame(BROADCAST, blue.there.mac, 'clean')]);
  for (const capture of captures) {
    const [first] = await capture.waitFor(1, isMarked);
    expect(textOf(first as Buffer)).toBe('clean');
  }
}

test('[M224] a VXLAN datagram from a container is only an inner frame', async () => {
  const captures = await Promise.all(
    [blue.here, blue.there].map((where) => Capture.start(testScope(), where)),
  );
  const beyond = await Capture.start(testScope(), red.there);
  const { packet } = smuggled(red.here.address[4]);
  await sendFrames(red.here, [ethernet({ dst: BROADCAST, src: red.here.mac }, packet)]);
  const [carried] = await beyond.waitFor(1, (frame) => frame.includes('smuggled'));
  expect(carried?.subarray(14)).toEqual(packet);
  await expectClean(captures);
});

test('[M224] [M215] a container with a route to the host is no peer of any network', async () => {
  const captures = await Promise.all(
    [blue.here, blue.there].map((where) => Capture.start(testScope(), where)),
  );
  const host = vswitchd.host.namespace;
  await connect({ namespace: host, ifname: 'gw' }, { namespace: red.here.namespace, ifname: 'gw' });
  await host.ip('address add 172.18.0.1/16 dev gw');
  await red.here.namespace.ip(`
    address add 172.18.0.2/16 dev gw
    route add ${vswitchd.host.address[4]}/32 via 172.18.0.1
  `);
  const before = await vswitchd.drops('rx.vtep_unknown');
  await sendPackets(red.here.namespace, [smuggled('172.18.0.2')]);
  await eventually('a named drop', async () => {
    return (await vswitchd.drops('rx.vtep_unknown')) === before + 1;
  });
  await expectClean(captures);
  await host.ip('link del gw');
});
