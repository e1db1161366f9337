/**
 * The way of one frame, asked through the seam. That it is the true one for every frame is proven in Rust
 * (engine_trace.rs); here: what the steps are called, and which fields each sets.
 *
 *   a, b ── net (VNI 256) ══ 10.200.0.2
 */

import { expect, it } from 'vitest';
import type { Trace, TraceRequest } from '../../src/datapath/seam.js';
import { arp, BROADCAST, ETHERTYPE, ethernet, numberedMac, vxlan } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, OTHER_PEER, PEER, port, tunnel } from './desired.js';
import { MemorySwitch } from './memorySwitch.js';

const [STATION, OTHER, ELSEWHERE] = [1, 2, 3].map(numberedMac) as [string, string, string];
const EXPERIMENTAL = 0x88b5;
const TUNNEL = `${PEER}:4789`;

function frame(dst: string, src: string, length = 46): Buffer {
  return ethernet({ dst, src, type: EXPERIMENTAL }, Buffer.alloc(length));
}

function running(...networks: Parameters<typeof desired>): Promise<MemorySwitch> {
  return MemorySwitch.running(testScope(), desired(...networks));
}

function fromPeer(bytes: Buffer, vni = 256, source = PEER): TraceRequest {
  const datagram = { source, sourcePort: 50_000, udpPort: 4789, tos: 0 };
  return { datagram, bytes: vxlan({ vni }, bytes) };
}

/** The last step, and how it ended. */
function end({ steps, verdict, reason }: Trace) {
  return { verdict, reason, last: steps.at(-1) };
}

it('says each decision about a frame, and what its copy would be', async () => {
  const switched = await running(lab());
  await switched.arrive(datagramOf(frame(STATION, ELSEWHERE)));
  const sent = frame(ELSEWHERE, STATION);
  const trace = switched.datapath.trace({ port: 'a', bytes: sent });
  expect(trace).toEqual({
    network: 'net',
    steps: [
      { kind: 'enters', port: 'a', length: 60 },
      { kind: 'network', vni: 256, outcome: 'up' },
      { kind: 'learn', mac: STATION, port: 'a', outcome: 'learned' },
      {
        kind: 'lookup',
        mac: ELSEWHERE,
        outcome: 'found',
        port: TUNNEL,
        remote: PEER,
        origin: 'learned',
      },
    ],
    verdict: 'to',
    copies: [
      {
        port: TUNNEL,
        kind: 'tunnel',
        remote: PEER,
        udpPort: 4789,
        sourcePort: expect.any(Number),
        vni: 256,
        pathMtu: 1500,
        length: 60 + 36,
      },
    ],
  });
  switched.left('a');
  switched.left('b');
  await switched.enter('a', sent);
  expect(switched.sent().map(({ sourcePort }) => sourcePort)).toEqual([
    trace.copies[0]?.sourcePort,
  ]);
});

it('leaves nothing behind: no count, no station, no line of the history', async () => {
  const switched = await running(lab({ openPeers: true }));
  const look = () => {
    const { underlay, networks } = switched.native.counters();
    return { underlay, networks, fdb: switched.datapath.fdb(), past: switched.datapath.history() };
  };
  const before = look();
  switched.datapath.trace({ port: 'a', bytes: frame(BROADCAST, STATION) });
  switched.datapath.trace(fromPeer(frame(BROADCAST, ELSEWHERE), 256, OTHER_PEER));
  expect(look()).toEqual(before);
});

it('says where a datagram is dropped, and what an open network would do', async () => {
  const switched = await running(lab());
  const way = (request: TraceRequest) => end(switched.datapath.trace(request));
  expect(way(fromPeer(frame(BROADCAST, ELSEWHERE), 77))).toEqual({
    verdict: 'drop',
    reason: 'rx.vni_unknown',
    last: { kind: 'network', vni: 77, outcome: 'unknown', reason: 'rx.vni_unknown' },
  });
  expect(way(fromPeer(frame(BROADCAST, ELSEWHERE), 256, OTHER_PEER)).last).toEqual({
    kind: 'sender',
    remote: OTHER_PEER,
    outcome: 'dropped',
    reason: 'rx.vtep_unknown',
  });
  await switched.apply(desired(lab({ openPeers: true })));
  const { steps, verdict, copies } = switched.datapath.trace(
    fromPeer(frame(BROADCAST, ELSEWHERE), 256, OTHER_PEER),
  );
  expect(steps).toContainEqual({
    kind: 'sender',
    remote: OTHER_PEER,
    port: `${OTHER_PEER}:4789`,
    outcome: 'new',
  });
  expect([verdict, copies.map((copy) => copy.port)]).toEqual(['flood', ['a', 'b']]);
});

it('says what is answered here, and for whom', async () => {
  const neighbor = { ip: '10.0.0.2', mac: OTHER, local: false, state: 'live', router: false };
  const switched = await running(lab({ neighbors: [{ ...neighbor, state: 'live' }] }));
  const asks = arp({ op: 1, senderMac: STATION, senderIp: '10.0.0.1', targetIp: '10.0.0.2' });
  const bytes = ethernet({ dst: BROADCAST, src: STATION, type: ETHERTYPE.arp }, asks);
  expect(end(switched.datapath.trace({ port: 'a', bytes }))).toEqual({
    verdict: 'consumed',
    reason: undefined,
    last: {
      kind: 'neighbor',
      ip: '10.0.0.2',
      mac: OTHER,
      outcome: 'answered',
      note: 'arp.proxied',
    },
  });
});

it('foresees that a port has been answered too often', async () => {
  const neighbor = { ip: '10.0.0.2', mac: OTHER, local: false, state: 'live', router: false };
  const switched = await running(lab({ neighbors: [{ ...neighbor, state: 'live' }] }));
  const asks = arp({ op: 1, senderMac: STATION, senderIp: '10.0.0.1', targetIp: '10.0.0.2' });
  const bytes = ethernet({ dst: BROADCAST, src: STATION, type: ETHERTYPE.arp }, asks);
  // A token comes back in a millisecond, so it may take more than once.
  for (let n = 0; n < 100; n += 1) {
    for (let frames = 0; frames < 2000; frames += 1) switched.native.inject('a', bytes);
    if (switched.datapath.trace({ port: 'a', bytes }).reason === 'arp.ratelimited') return;
  }
  expect.fail('no trace said arp.ratelimited');
});

it('says which copies are too big, and what their sender is told', async () => {
  const wide = { ports: [port('a', { mtu: 9000 }), port('b', { mtu: 600 })] };
  const switched = await running(lab({ ...wide, tunnels: [tunnel(PEER, 256)] }));
  const { verdict, copies, steps } = switched.datapath.trace({
    port: 'a',
    bytes: frame(BROADCAST, STATION, 2000),
  });
  expect(verdict).toBe('flood');
  expect(copies.map((copy) => [copy.port, copy.reason])).toEqual([
    ['b', 'tx.port_mtu'],
    [TUNNEL, 'tx.too_big_noicmp'],
  ]);
  expect(steps.at(-1)).toMatchObject({ kind: 'tooBig', outcome: 'untold', mtu: 1450 });
});

it.each<[string, TraceRequest]>([
  ['no such port is running', { port: 'nobody', bytes: frame(BROADCAST, STATION) }],
  ['no such port is running', { port: TUNNEL, bytes: frame(BROADCAST, STATION) }],
  ['neither or both', { bytes: frame(BROADCAST, STATION) }],
  ['neither or both', { ...fromPeer(frame(BROADCAST, STATION)), port: 'a' }],
  ['the source is no address', fromPeer(frame(BROADCAST, STATION), 256, 'nowhere')],
  ['the frame is too long', { port: 'a', bytes: Buffer.alloc(70_000) }],
])('refuses what cannot be asked: %s', async (why, request) => {
  const switched = await running(lab());
  expect(() => switched.datapath.trace(request)).toThrow(why);
});

it('takes any bytes', async () => {
  const switched = await running(lab());
  for (let length = 0; length < 70; length += 1) {
    const bytes = Buffer.alloc(length, 0x81);
    const { reason } = switched.datapath.trace({ port: 'a', bytes });
    expect(reason).toBeDefined();
    const { datagram } = fromPeer(bytes);
    expect(switched.datapath.trace({ datagram, bytes }).reason).toBeDefined();
  }
});

function datagramOf(bytes: Buffer) {
  return {
    source: PEER,
    sourcePort: 50_000,
    destination: '10.200.0.1',
    destinationPort: 4789,
    payload: vxlan({ vni: 256 }, bytes),
  };
}
