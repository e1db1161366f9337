/** What the real switch says of frames, in sentences: whole ones, with nothing missing in them. */

import { describe, expect, it } from 'vitest';
import type { NetworkSpec, TraceRequest } from '../../src/datapath/seam.js';
import { TraceSentences } from '../../src/model/traceSentences.js';
import { arp, BROADCAST, ethernet, icmpEcho, ipv4, tcp, vxlan } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, network, OTHER_PEER, PEER, port, tunnel } from './desired.js';
import { addon, MemorySwitch } from './memorySwitch.js';

const A = '02:00:00:00:00:0a';
const B = '02:00:00:00:00:0b';
const R = '02:00:00:00:00:0f';
const sentences = new TraceSentences(addon.dropReasons());

const net = lab({
  ports: [
    port('a', { guard: { macs: [A], addresses: ['10.0.0.1'] } }),
    port('b', { mtu: 600 }),
    port('c'),
  ],
  fdb: [
    { mac: A, origin: 'static', to: { port: 'a' } },
    { mac: B, origin: 'static', to: { port: 'b' } },
    { mac: R, origin: 'control', to: { tunnel: { remote: PEER, udpPort: 4789, vni: 256 } } },
  ],
  neighbors: [{ ip: '10.0.0.9', mac: R, local: false, state: 'live', router: false }],
});

/** All that is said, line by line. */
async function told(
  request: Omit<TraceRequest, 'bytes'>,
  bytes: Uint8Array,
  more: NetworkSpec[] = [],
) {
  const made = await MemorySwitch.running(testScope(), desired(net, ...more));
  const trace = made.datapath.trace({ ...request, bytes });
  return [
    ...trace.steps.map((step) => sentences.step(step, trace.network)),
    ...trace.copies.map((copy) => `- ${sentences.copy(copy)}`),
    sentences.ending(trace),
  ];
}

const v4 = { src: '10.0.0.1', dst: '10.0.0.2' };
const ping = (dst: string, size = 8, src = A) =>
  ethernet(
    { src, dst },
    ipv4(
      { ...v4, protocol: 1, dontFragment: true },
      icmpEcho(v4, { type: 'request' }, Buffer.alloc(size)),
    ),
  );
const from = (source: string, tos = 0): Omit<TraceRequest, 'bytes'> => ({
  datagram: { source, sourcePort: 50_000, udpPort: 4789, tos },
});

describe('sentences of real traces', () => {
  it('to a tunnel', async () => {
    const options = Buffer.from([2, 4, 1460 >> 8, 1460 & 255]);
    const fields = { sourcePort: 1, destinationPort: 80, flags: 2, options };
    const syn = ethernet(
      { src: A, dst: R },
      ipv4({ ...v4, protocol: 6 }, tcp(v4, fields, Buffer.alloc(0))),
    );
    expect(await told({ port: 'a' }, syn)).toEqual([
      'A frame of 58 bytes enters at port a of network net.',
      'It belongs to network net (VNI 256), which is up.',
      `Port a may send this, from ${A} and under its addresses.`,
      `Its source ${A} is known at port a.`,
      `The FDB has its destination ${R} at VTEP 10.200.0.2:4789 (control).`,
      ...Array<unknown>(2).fill(
        expect.stringMatching(
          /It leaves by the tunnel 10\.200\.0\.2:4789: VNI 256, UDP port \d+ to 4789, an IP packet of 94 bytes, of 1500 that the path carries, with its MSS lowered to 1410\.$/,
        ),
      ),
    ]);
  });

  it('that end in drops', async () => {
    expect((await told({ port: 'a' }, ping(R, 8, B))).slice(-2)).toEqual([
      `Port a may not send this (its source is ${B}). The source MAC is not one of those that may send from this port.`,
      'It is dropped: rx.spoof_mac. The source MAC is not one of those that may send from this port.',
    ]);
    expect((await told({ port: 'a' }, ping(B, 800))).at(-1)).toBe(
      'At port b it is dropped: tx.port_mtu. The frame is longer than the MTU of the port where it would leave.',
    );
    expect((await told(from(OTHER_PEER), vxlan({ vni: 256 }, ping(B)))).slice(-2)).toEqual([
      "Its sender is 10.200.0.3. The sender is not in the network's closed list of peers.",
      "It is dropped: rx.vtep_unknown. The sender is not in the network's closed list of peers.",
    ]);
    expect((await told(from(PEER, 3), vxlan({ vni: 256 }, ping(B)))).at(-2)).toBe(
      "The underlay's ECN is CE, the packet's own Not-ECT. The underlay marked congestion on a packet whose transport does not understand that, so dropping it is what tells its sender (RFC 6040).",
    );
  });

  it('of floods, answers and unknown networks', async () => {
    const ask = (ip: string) =>
      ethernet(
        { src: A, dst: BROADCAST, type: 0x0806 },
        arp({ op: 1, senderMac: A, senderIp: '10.0.0.1', targetIp: ip }),
      );
    expect((await told({ port: 'a' }, ask('10.0.0.9'))).slice(-2)).toEqual([
      expect.stringContaining(
        `It is about 10.0.0.9 (at ${R} by the neighbor table): the question is answered here`,
      ),
      'It goes no further: this host answers it.',
    ]);
    expect((await told({ port: 'a' }, ask('10.0.0.8'))).slice(-5)).toEqual([
      'A copy goes to every other port that takes broadcast.',
      '- It leaves by port b (42 bytes).',
      '- It leaves by port c (42 bytes).',
      expect.stringMatching(/^- It leaves by the tunnel 10\.200\.0\.2:4789: VNI 256, /),
      'Copies leave by b, c, 10.200.0.2:4789.',
    ]);
    expect((await told(from(PEER), vxlan({ vni: 999 }, ping(B)))).slice(-2)).toEqual([
      'Its VNI is 999. No network here has this VNI on this UDP port.',
      'It is dropped: rx.vni_unknown. No network here has this VNI on this UDP port.',
    ]);
  });

  it('lack nothing, whatever the frame', async () => {
    const odd = network('odd', 300, {
      ...{ openPeers: true, innerVlan: 'allow', reservedBits: 'ignore', learning: false },
      ports: [port('x'), port('y')],
      tunnels: [tunnel(PEER, 300)],
    });
    const made = await MemorySwitch.running(testScope(), desired(net, odd));
    const frames = [
      Buffer.alloc(0),
      Buffer.alloc(14),
      ping(B),
      ping(R, 1400),
      ping('02:00:00:00:00:77'),
      ping(A),
      ping(BROADCAST),
      ping('01:80:c2:00:00:00'),
      ethernet({ src: R, dst: A, tags: [{ vid: 5 }] }, Buffer.alloc(46, 0x45)),
      ethernet({ src: R, dst: A, tags: [{ vid: 0, pcp: 3 }] }, Buffer.alloc(46, 0x45)),
      ethernet({ src: '01:00:00:00:00:01', dst: A, type: 0x88b5 }, Buffer.alloc(46)),
    ];
    const requests = frames.flatMap((bytes): TraceRequest[] => [
      ...['a', 'b', 'c', 'x'].map((name) => ({ port: name, bytes })),
      ...[256, 300].flatMap((vni) =>
        [PEER, OTHER_PEER].map((source) => ({
          ...from(source, 2),
          bytes: vxlan({ vni, flags: 0x0c, reserved2: 1 }, bytes),
        })),
      ),
      { ...from(PEER), bytes },
    ]);
    const kinds = new Set<string>();
    for (const request of requests) {
      const trace = made.datapath.trace(request);
      const text = [
        ...trace.steps.map((step) => sentences.step(step, trace.network)),
        ...trace.copies.map((copy) => sentences.copy(copy)),
        sentences.ending(trace),
      ];
      for (const step of trace.steps) kinds.add(`${step.kind} ${step.outcome ?? ''}`);
      expect(text.filter((line) => !/^[A-Z].*\.$/.test(line) || /undefined|\?/.test(line))).toEqual(
        [],
      );
    }
    expect(kinds.size).toBeGreaterThan(20);
  });
});
