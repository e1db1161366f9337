/**
 * Congestion marks and DSCP between inner and outer headers, with the kernel's vxlan as the other end.
 *
 *   c1 ── vswitchd (host one, defaults)                      ┐
 *   c3 ── vswitchd (host three, IPv6, other settings)        ┴ underlay ── kernel vxlan (host two) ── c2
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { sendFrames, sendPackets } from '../support/forge.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  ipv4,
  PROTOCOL,
  udp,
  vxlan,
} from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const VNI = 256;
const NOT_ECT = 0b00;
const ECT_1 = 0b01;
const ECT_0 = 0b10;
const CE = 0b11;
const FIELDS = [NOT_ECT, ECT_1, ECT_0, CE];
/** Expedited forwarding (RFC 3246), where a type of service has it. */
const DSCP = 0xb8;
const TEXT = 'a packet of the test of ECN';
/** Outer Ethernet, IP, UDP and VXLAN headers. */
const ENCAPSULATION = { 4: 14 + 20 + 8 + 8, 6: 14 + 40 + 8 + 8 } as const;

const scope = fileScope();
let one: Host;
let two: Host;
let three: Host;
let c1: Container;
let c2: Container;
let c3: Container;
let vswitchd: Vswitchd;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
  [one, two, three] = hosts as [Host, Host, Host];
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  c3 = await createContainer(scope, 'c3', 3);
  const kernel = await createKernelVxlan(two, { vni: VNI, peers: [one.address[4]], family: 4 });
  await kernel.attach(c2);
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [{ name: 'net', vni: VNI, peers: [two.address[4]], ports: [portOf(c1)] }],
  });
  await Vswitchd.start(scope, three, {
    family: 6,
    vtep: { tos: 'inherit', ecn: 'linux' },
    networks: [{ name: 'net', vni: 257, peers: [two.address[6]], ports: [portOf(c3)] }],
  });
});

/** A frame to everybody; packets of different `flow` are never merged. */
function packet(from: Container, tos: number, flow = 1): Buffer {
  const ends = { src: from.address[4], dst: '10.0.0.99' };
  const ports = { sourcePort: 1000 + flow, destinationPort: 9 };
  return ethernet(
    { dst: BROADCAST, src: from.mac },
    ipv4({ ...ends, protocol: PROTOCOL.udp, tos }, udp(ends, ports, Buffer.from(TEXT))),
  );
}

const isOurs = (frame: Buffer) => frame.includes(TEXT);
const hex = (frames: readonly Buffer[]) => frames.map((frame) => frame.toString('hex'));

/** Captures what a host's underlay interface gets of VXLAN from another. */
async function outerCapture(at: Host, from: string): Promise<Capture> {
  const where = { namespace: at.namespace, ifname: UNDERLAY_IFNAME };
  return await Capture.start(testScope(), where, `udp dst port 4789 and src host ${from}`);
}

test('[E92] [F106] [F107] [F108] [F111] ECN is copied outward, the DSCP is not, and a kernel delivers all as it was', async () => {
  const outer = await outerCapture(two, one.address[4]);
  const inner = await Capture.start(testScope(), c2);
  const sent = [...FIELDS, ...FIELDS].map((ecn, n) => packet(c1, (n < 4 ? 0 : DSCP) | ecn));
  await sendFrames(c1, sent);
  const datagrams = await outer.waitFor(sent.length, isOurs);
  expect(datagrams.map((bytes) => bytes[15])).toEqual([...FIELDS, ...FIELDS]);
  expect(hex(datagrams.map((bytes) => bytes.subarray(ENCAPSULATION[4])))).toEqual(hex(sent));
  expect(hex(await inner.waitFor(sent.length, isOurs))).toEqual(hex(sent));
});

test('[F107] [F108] [F111] over IPv6 the traffic class is as configured', async () => {
  const outer = await outerCapture(two, three.address[6]);
  // No two neighbours leave with the same, or they would leave as one run.
  const fields = [NOT_ECT, CE, ECT_1, ECT_0];
  const sent = fields.map((ecn) => packet(c3, DSCP | ecn));
  await sendFrames(c3, sent);
  const datagrams = await outer.waitFor(sent.length, isOurs);
  const classes = datagrams.map((bytes) => (bytes.readUInt16BE(14) >> 4) & 0xff);
  expect(classes).toEqual([NOT_ECT, ECT_0, ECT_1, ECT_0].map((ecn) => DSCP | ecn));
  expect(hex(datagrams.map((bytes) => bytes.subarray(ENCAPSULATION[6])))).toEqual(hex(sent));
});

test('[F101] [F109] what a kernel sends arrives as it was', async () => {
  const inner = await Capture.start(testScope(), c1);
  const sent = FIELDS.map((ecn, n) => packet(c2, DSCP | ecn, n));
  await sendFrames(c2, sent);
  expect(hex(await inner.waitFor(sent.length, isOurs)).sort()).toEqual(hex(sent).sort());
  expect((await vswitchd.network('net')).ecn).toEqual({ odd: 0, nonip: 0 });
});

test('[F101] [F103] [F105] [F109] a mark of the underlay reaches the packet, or drops it by name', async () => {
  const before = await vswitchd.drops('rx.ecn_ce_notect');
  const inner = await Capture.start(testScope(), c1);
  // RFC 6040 figure 4: the outer field of a datagram, the inner one, and what that becomes.
  const arrivals = [
    ...FIELDS.map((ecn) => ({ outer: NOT_ECT, inner: ecn, becomes: ecn })),
    { outer: CE, inner: NOT_ECT, becomes: undefined },
    ...[ECT_0, ECT_1, CE].map((ecn) => ({ outer: CE, inner: ecn, becomes: CE })),
    { outer: ECT_0, inner: NOT_ECT, becomes: NOT_ECT },
    { outer: ECT_0, inner: ECT_1, becomes: ECT_1 },
    { outer: ECT_1, inner: ECT_0, becomes: ECT_1 },
    { outer: ECT_1, inner: CE, becomes: CE },
  ];
  const question = arp({
    op: 1,
    senderMac: c2.mac,
    senderIp: c2.address[4],
    targetIp: '10.0.0.77',
  });
  const ask = ethernet({ dst: BROADCAST, src: c2.mac, type: ETHERTYPE.arp }, question);
  await sendPackets(two.namespace, [
    ...arrivals.map(({ outer, inner }, n) => forged(outer, packet(c2, DSCP | inner, n))),
    forged(CE, ask),
    // Behind it nothing of the above is still on its way.
    forged(NOT_ECT, packet(c2, 0, 99)),
  ]);
  const expected = arrivals.flatMap(({ becomes }, n) =>
    becomes === undefined ? [] : [packet(c2, DSCP | becomes, n)],
  );
  expected.push(packet(c2, 0, 99));
  expect(hex(await inner.waitFor(expected.length, isOurs))).toEqual(hex(expected));
  expect(await vswitchd.drops('rx.ecn_ce_notect')).toBe(before + 1);
  expect((await vswitchd.network('net')).ecn).toEqual({ odd: 2, nonip: 1 });
  await eventually('the log of it', () =>
    /"event":"ecnOdd".*"detail":"inner Not-ECT, outer CE"/.test(vswitchd.log),
  );
  await vswitchd.balanced();
});

test('[F106] TCP that understands ECN says so in the outer headers of its runs, both ways', async () => {
  for (const { namespace } of [c1, c2]) await namespace.sysctl({ 'ipv4/tcp_ecn': 1 });
  const before = await vswitchd.drops('rx.ecn_ce_notect');
  const outer = await outerCapture(two, one.address[4]);
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
  const datagrams = await outer.frames();
  const innerTos = (bytes: Buffer) => bytes[ENCAPSULATION[4] + 15];
  const ipv4Inside = datagrams.filter(
    (bytes) => bytes.readUInt16BE(ENCAPSULATION[4] + 12) === 0x0800,
  );
  expect(ipv4Inside.map((bytes) => bytes[15])).toEqual(ipv4Inside.map(innerTos));
  expect(ipv4Inside.map(innerTos)).toContain(ECT_0);
  for (const { namespace } of [c1, c2]) expect(await ectPackets(namespace)).toBeGreaterThan(0);
  expect(await vswitchd.drops('rx.ecn_ce_notect')).toBe(before);
});

/** A datagram of the kernel's VTEP with this type of service. */
function forged(tos: number, frame: Buffer) {
  const ends = { src: two.address[4], dst: one.address[4] };
  const ports = { sourcePort: 50_000, destinationPort: 4789 };
  const datagram = udp(ends, ports, vxlan({ vni: VNI }, frame));
  return {
    packet: ipv4({ ...ends, protocol: PROTOCOL.udp, tos }, datagram),
    destination: one.address[4],
  };
}

/** IP packets with ECT(0) that a namespace has received (InECT0Pkts). */
async function ectPackets(namespace: Host['namespace']): Promise<number> {
  const lines = (await namespace.exec('cat', ['/proc/net/netstat'])).trim().split('\n');
  const [names = [], values = []] = lines
    .filter((line) => line.startsWith('IpExt:'))
    .map((line) => line.split(/\s+/));
  return Number(values[names.indexOf('InECT0Pkts')]);
}
