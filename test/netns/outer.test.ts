/**
 * What arrives from the underlay, with outer headers of every kind. Host two only forges; whatever follows a
 * refused datagram is a good one, the fence: when that is there, the refused one would have been.
 *
 *   forger (host two) ══ underlay ══ vswitchd (host one) ── c1
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { sendFrames, sendPackets } from '../support/forge.js';
import {
  BROADCAST,
  type EthernetFields,
  ethernet,
  type Ipv4Fields,
  ipv4,
  numberedMac,
  PROTOCOL,
  type UdpFields,
  udp,
  vxlan,
} from '../support/frames.js';
import { isMarked, markedFrame, textOf } from '../support/marked.js';
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
const SECOND_ADDRESS = '10.200.0.101';
const scope = fileScope();
let one: Host;
let two: Host;
let c1: Container;
let vswitchd: Vswitchd;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
  [one, two] = hosts as [Host, Host];
  await one.namespace.ip(`address add ${SECOND_ADDRESS}/24 dev ${UNDERLAY_IFNAME}`);
  c1 = await createContainer(scope, 'c1', 1);
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [{ name: 'net', vni: VNI, peers: [two.address[4]], ports: [portOf(c1)] }],
    datapath: { workers: 1 },
  });
});

interface Forged {
  /** The frame inside; a marked one unless given. */
  readonly payload?: Uint8Array;
  readonly ip?: Partial<Ipv4Fields>;
  readonly udp?: Partial<UdpFields>;
}

/** A VXLAN datagram from host two to host one that carries a marked frame. */
function datagram(text: string, forged: Forged = {}): Buffer {
  const ends = {
    src: forged.ip?.src ?? two.address[4],
    dst: forged.ip?.dst ?? one.address[4],
  };
  const payload = forged.payload ?? vxlan({ vni: VNI }, markedFrame(BROADCAST, macOf(text), text));
  const ports = { sourcePort: 50000, destinationPort: 4789, ...forged.udp };
  return ipv4({ ...ends, protocol: PROTOCOL.udp, ...forged.ip }, udp(ends, ports, payload));
}

/** Every text has a source MAC of its own, so that learning can be told apart. */
function macOf(text: string): string {
  const sum = [...text].reduce((hash, char) => (hash * 31 + char.charCodeAt(0)) & 0xffffff, 7);
  return numberedMac(sum);
}

/** Sends the packets and a fence behind them; returns the marked frames that c1 got, without the fence. */
async function delivered(...packets: readonly Buffer[]): Promise<readonly Buffer[]> {
  return await deliveredAfter(() =>
    sendPackets(
      two.namespace,
      packets.map((packet) => ({ packet, destination: one.address[4] })),
    ),
  );
}

async function deliveredAfter(send: () => Promise<void>): Promise<readonly Buffer[]> {
  const capture = await Capture.start(testScope(), c1);
  await send();
  await sendPackets(two.namespace, [{ packet: datagram('fence'), destination: one.address[4] }]);
  const found = await eventually('the fence', async () => {
    const frames = (await capture.frames()).filter(isMarked);
    return frames.some((frame) => textOf(frame) === 'fence') ? frames : undefined;
  });
  return found.filter((frame) => textOf(frame) !== 'fence');
}

async function expectAccepted(text: string, forged: Forged): Promise<void> {
  const frames = await delivered(datagram(text, forged));
  expect(frames.map(textOf)).toEqual([text]);
  await vswitchd.learned(macOf(text), { vtep: two.address[4] });
}

async function expectNotLearned(text: string): Promise<void> {
  expect((await vswitchd.fdb()).map((entry) => entry.mac)).not.toContain(macOf(text));
}

test('[A1] a datagram without UDP checksum is accepted', async () => {
  await expectAccepted('no checksum', { udp: { checksum: 0 } });
});

test('[A2] a right UDP checksum is accepted, a wrong one never reaches us', async () => {
  const before = await one.namespace.snmp();
  await expectAccepted('right checksum', {});
  expect(await delivered(datagram('wrong checksum', { udp: { checksum: 0x1234 } }))).toEqual([]);
  const after = await one.namespace.snmp();
  expect((after.UdpInCsumErrors ?? 0) - (before.UdpInCsumErrors ?? 0)).toBe(1);
  await expectNotLearned('wrong checksum');
});

test('[A4] bytes behind the end that the UDP length states are not part of the frame', async () => {
  const frame = markedFrame(BROADCAST, macOf('long'), 'long');
  const spare = Buffer.from('junk');
  const payload = Buffer.concat([vxlan({ vni: VNI }, frame), spare]);
  const [got] = await delivered(
    datagram('long', { payload, udp: { length: 8 + payload.length - spare.length, checksum: 0 } }),
  );
  expect(got?.toString('hex')).toBe(frame.toString('hex'));
});

test('[A5] a UDP length beyond the IP payload or below 8 is dropped', async () => {
  const lengths = [9999, 7, 1];
  const packets = lengths.map((length) =>
    datagram(`length ${length}`, { udp: { length, checksum: 0 } }),
  );
  expect(await delivered(...packets)).toEqual([]);
  for (const length of lengths) await expectNotLearned(`length ${length}`);
});

test.each([0, 53, 4789])('[A8] source port %i is accepted', async (sourcePort) => {
  await expectAccepted(`from port ${sourcePort}`, { udp: { sourcePort } });
});

test('[A9] a datagram to another UDP port is answered with port unreachable', async () => {
  const capture = await Capture.start(
    testScope(),
    { namespace: two.namespace, ifname: UNDERLAY_IFNAME },
    'icmp',
  );
  expect(await delivered(datagram('other port', { udp: { destinationPort: 4790 } }))).toEqual([]);
  await eventually('port unreachable', async () => {
    const errors = await capture.decode(['icmp.type', 'icmp.code', 'udp.dstport']);
    expect(errors).toEqual([{ 'icmp.type': '3', 'icmp.code': '3', 'udp.dstport': '4790' }]);
    return true;
  });
});

test('[A10] [A11] an outer source that is our own or no unicast address is dropped and not learned', async () => {
  const sources = [
    ...[one.address[4], SECOND_ADDRESS, '0.0.0.0', '127.0.0.1'],
    ...['224.0.0.5', '255.255.255.255', '10.200.0.255'],
  ];
  const link = await linkTo(one);
  const frames = sources.map((src) => ethernet(link, datagram(`from ${src}`, { ip: { src } })));
  // Whole frames, because a raw socket would fill in the source 0.0.0.0.
  const where = { namespace: two.namespace, ifname: UNDERLAY_IFNAME };
  expect(await deliveredAfter(() => sendFrames(where, frames))).toEqual([]);
  for (const src of sources) await expectNotLearned(`from ${src}`);
});

test('[A15] a datagram to another address of this host is not accepted', async () => {
  const text = 'other address';
  expect(await delivered(datagram(text, { ip: { dst: SECOND_ADDRESS } }))).toEqual([]);
  await expectNotLearned(text);
});

test.each([0, 1])('[A16] an outer TTL of %i is accepted', async (ttl) => {
  await expectAccepted(`ttl ${ttl}`, { ip: { ttl } });
});

test('[A17] IPv4 options are accepted and do not shift the frame', async () => {
  await expectAccepted('options', { ip: { options: Buffer.from([1, 1, 1, 1]) } });
});

test('[A18] an outer datagram in fragments is reassembled and accepted', async () => {
  const frames = await delivered(...fragments('fragmented', 3));
  expect(frames.map(textOf)).toEqual(['fragmented']);
});

test('[A19] a fragment that never comes delivers nothing and blocks nothing', async () => {
  expect(await delivered(...fragments('one fragment is missing', 3).slice(0, 2))).toEqual([]);
  const frames = await delivered(...fragments('all are there', 3));
  expect(frames.map(textOf)).toEqual(['all are there']);
});

test('[A23] a datagram that comes twice is delivered twice', async () => {
  const twice = datagram('twice');
  const frames = await delivered(twice, twice);
  expect(frames.map(textOf)).toEqual(['twice', 'twice']);
});

test('[A6] [A7] a datagram without a whole frame is a counted drop', async () => {
  const before = [
    await vswitchd.drops('rx.too_short_vxlan'),
    await vswitchd.drops('rx.too_short_inner'),
  ];
  const sizes = [0, 7, 8, 21];
  const packets = sizes.map((size) =>
    datagram('', { payload: vxlan({ vni: VNI }, Buffer.alloc(14)).subarray(0, size) }),
  );
  expect(await delivered(...packets)).toEqual([]);
  expect(await vswitchd.drops('rx.too_short_vxlan')).toBe((before[0] ?? 0) + 2);
  expect(await vswitchd.drops('rx.too_short_inner')).toBe((before[1] ?? 0) + 2);
});

test('[B31] an unknown VNI is a counted drop and not learned', async () => {
  const before = await vswitchd.drops('rx.vni_unknown');
  const frame = markedFrame(BROADCAST, macOf('stranger'), 'stranger');
  const packet = datagram('', { payload: vxlan({ vni: VNI + 1 }, frame) });
  expect(await delivered(packet)).toEqual([]);
  expect(await vswitchd.drops('rx.vni_unknown')).toBe(before + 1);
  await expectNotLearned('stranger');
});

test('[M215] a VTEP that is not listed is a counted drop and not learned', async () => {
  const before = await vswitchd.drops('rx.vtep_unknown');
  const text = 'unlisted';
  expect(await delivered(datagram(text, { ip: { src: '10.200.0.99' } }))).toEqual([]);
  expect(await vswitchd.drops('rx.vtep_unknown')).toBe(before + 1);
  await expectNotLearned(text);
});

test('[A21] an overflow of the receive queue is counted', async () => {
  const overflow = () => vswitchd.drops('rx.sock_overflow');
  const before = await overflow();
  // A datagram takes at least 512 bytes of the buffer, which the kernel makes twice as large as asked for.
  const { receive_buffer: buffer } = (await vswitchd.counters()).underlay;
  const count = Math.ceil((2 * buffer) / 512);
  vswitchd.child.signal('SIGSTOP');
  const flooding = ethernet(await linkTo(one), datagram('flood', { ip: { id: 1 } }));
  const where = { namespace: two.namespace, ifname: UNDERLAY_IFNAME };
  await sendFrames(
    where,
    Array.from({ length: count }, () => flooding),
  );
  vswitchd.child.signal('SIGCONT');
  await eventually('overflow', async () => {
    // The kernel tells with the next datagram that finds room (SO_RXQ_OVFL, socket(7)).
    await sendFrames(where, [flooding]);
    return (await overflow()) > before;
  });
});

/** The Ethernet header of a frame to the underlay interface of a host. */
async function linkTo(host: Host): Promise<EthernetFields> {
  const show = ['link', 'show', UNDERLAY_IFNAME];
  const [link] = await host.namespace.ipJson<{ address: string }[]>(...show);
  return { dst: link?.address ?? '', src: numberedMac(1) };
}

/** One datagram in `count` IP fragments. */
function fragments(text: string, count: number): readonly Buffer[] {
  const ends = { src: two.address[4], dst: one.address[4] };
  const frame = markedFrame(BROADCAST, macOf(text), text);
  const whole = udp(ends, { sourcePort: 50000, destinationPort: 4789 }, vxlan({ vni: VNI }, frame));
  const size = Math.ceil(whole.length / count / 8) * 8;
  fragmentedDatagrams += 1;
  const id = fragmentedDatagrams;
  return Array.from({ length: count }, (_, n) =>
    ipv4(
      {
        ...ends,
        protocol: PROTOCOL.udp,
        id,
        fragmentOffset: n * size,
        moreFragments: n < count - 1,
      },
      whole.subarray(n * size, (n + 1) * size),
    ),
  );
}

/** IP identification: two datagrams under reassembly must not share one. */
let fragmentedDatagrams = 0;
