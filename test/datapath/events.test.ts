/** What the datapath tells by itself: once for each subject in a while, bounded, and with one wake for a filling. */

import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { BROADCAST, ethernet, ipv4, numberedMac, PROTOCOL, udp } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, OTHER_PEER, PEER, port, tunnel } from './desired.js';
import { datagram, dropped, MemorySwitch } from './memorySwitch.js';

function hello(station: number): Buffer {
  const src = numberedMac(station);
  return ethernet({ dst: BROADCAST, src, type: 0x88b5 }, Buffer.from('hello'));
}

const at = expect.closeTo(Date.now(), -5);

it('[D55] tells once that a MAC has moved, however often it moves', async () => {
  const tunnels = [tunnel(PEER, 256), tunnel(OTHER_PEER, 256)];
  const running = await MemorySwitch.running(testScope(), desired(lab({ tunnels })));
  await running.arrive(datagram(hello(1)));
  for (let n = 0; n < 5; n += 1) {
    await running.arrive(datagram(hello(1), { from: OTHER_PEER }));
    await running.arrive(datagram(hello(1)));
  }
  const counters = await running.enter('a', hello(1));
  expect(counters.networks[0]).toMatchObject({ moved: 11, learned: 1, macs: 1 });
  const [from, to] = [`${PEER}:4789`, `${OTHER_PEER}:4789`];
  expect(running.events()).toEqual([
    { type: 'macMoved', at, network: 'net', mac: numberedMac(1), from, to },
  ]);
  // 1 + 5 + 5 copies of the peers, none back to the port where it is now.
  expect([running.left('a').length, running.left('b').length]).toEqual([11, 12]);
});

it('[D66] tells once that a port or the network is full, and goes on forwarding', async () => {
  const ports = [port('a', { maxMacs: 2 }), port('b'), port('c')];
  const running = await MemorySwitch.running(testScope(), desired(lab({ ports, maxMacs: 3 })));
  await running.enter('a', ...[1, 2, 3, 4].map(hello));
  await running.enter('b', ...[5, 6, 7].map(hello));
  expect((await running.settled()).networks[0]).toMatchObject({ learned: 3, macs: 3, full: 4 });
  expect(running.events()).toEqual([
    { type: 'fdbFull', at, network: 'net', port: 'a' },
    { type: 'fdbFull', at, network: 'net', port: 'b' },
  ]);
  expect(running.left('c')).toHaveLength(7);
});

it('[B31] tells once for each VNI that nobody knows', async () => {
  const running = await MemorySwitch.running(testScope(), desired(lab()));
  const strange = [7, 7, 7, 8, 7, 8].map((vni) => datagram(hello(1), { vni }));
  const counters = await running.arrive(...strange);
  expect(dropped(counters, 'rx.vni_unknown')).toBe(6);
  expect(running.events()).toEqual([
    { type: 'vniUnknown', at, vni: 7, remote: PEER },
    { type: 'vniUnknown', at, vni: 8, remote: PEER },
  ]);
});

it('[F101] [F103] [F105] tells once for each VTEP whose ECN does not fit, and counts', async () => {
  const running = await MemorySwitch.running(testScope(), desired(lab()));
  const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
  const ports = { sourcePort: 1, destinationPort: 2 };
  const packet = ipv4({ ...ends, protocol: PROTOCOL.udp }, udp(ends, ports, Buffer.from('x')));
  const frame = ethernet({ dst: BROADCAST, src: numberedMac(1) }, packet);
  const [ect1, ce] = [1, 3];
  const counters = await running.arrive(
    ...[ect1, ect1, ce].map((tos) => datagram(frame, { tos })),
    datagram(hello(1), { tos: ce }),
  );
  expect(dropped(counters, 'rx.ecn_ce_notect')).toBe(1);
  expect(counters.networks[0]).toMatchObject({ ecnOdd: 2, ecnNonip: 1 });
  expect(running.events()).toEqual([
    {
      ...{ type: 'ecnOdd', at, network: 'net', from: `${PEER}:4789` },
      detail: 'inner Not-ECT, outer ECT(1)',
    },
  ]);
  expect(running.left('a')).toHaveLength(3);
});

it('wakes once for a filling, and again after it was drained', async () => {
  const running = await MemorySwitch.running(testScope(), desired(lab()));
  await running.arrive(...[1, 2, 3].map((vni) => datagram(hello(1), { vni })));
  await eventually('a wake', () => running.wakes === 1, { every: 1 });
  expect(running.datapath.drain(2).map(({ vni }) => vni)).toEqual([1, 2]);
  await running.arrive(datagram(hello(1), { vni: 4 }));
  expect(running.datapath.drain(10).map(({ vni }) => vni)).toEqual([3, 4]);
  expect(running.datapath.drain(10)).toEqual([]);
  // The ring was never empty between: the fourth event was no filling.
  await new Promise((resolve) => setImmediate(resolve));
  expect(running.wakes).toBe(1);
  await running.arrive(datagram(hello(1), { vni: 5 }));
  await eventually('a second wake', () => running.wakes === 2, { every: 1 });
});

it('counts what did not fit, keeps room for others, and says so once', async () => {
  const running = await MemorySwitch.running(testScope(), desired(lab({ maxMacs: 0 })));
  const flood = Array.from({ length: 500 }, (_, n) => datagram(hello(1), { vni: 1000 + n }));
  await running.arrive(...flood);
  await running.enter('a', hello(1));
  const events = running.events();
  const told = events.filter(({ type }) => type === 'vniUnknown');
  // The oldest are kept.
  expect(told.map(({ vni }) => vni)).toEqual(told.map((_, n) => 1000 + n));
  expect(told.length).toBeGreaterThan(0);
  expect(events.slice(told.length)).toEqual([
    { type: 'fdbFull', at, network: 'net', port: 'a' },
    expect.objectContaining({ type: 'lost', count: 500 - told.length }),
  ]);
  expect(running.events()).toEqual([]);
});
