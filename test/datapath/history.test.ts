/**
 * What has happened, through the seam, and the FDB as it was. That nothing is missing is proven in Rust
 * (engine_history.rs).
 *
 *   a, b ── net (VNI 256) ══ 10.200.0.2
 */

import { expect, it } from 'vitest';
import type { FdbEntry, HistoryLine } from '../../src/datapath/seam.js';
import { fdbAt } from '../../src/model/fdbPast.js';
import { BROADCAST, ethernet, numberedMac } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, PEER, port } from './desired.js';
import { datagram, MemorySwitch } from './memorySwitch.js';

const [STATION, OTHER] = [1, 2].map(numberedMac) as [string, string];
const TUNNEL = `${PEER}:4789`;

function frame(src: string): Buffer {
  return ethernet({ dst: BROADCAST, src, type: 0x88b5 }, Buffer.alloc(46));
}

function running(...networks: Parameters<typeof desired>): Promise<MemorySwitch> {
  return MemorySwitch.running(testScope(), desired(...networks));
}

/** Without number and time; but for who is heard of, which is noticed once a second, and so sooner or later. */
function told(lines: HistoryLine[]): Partial<HistoryLine>[] {
  const sure = lines.filter(({ kind }) => kind !== 'vtepHeard');
  return sure.map(({ seq: _, at: __, ...line }) => line);
}

it('tells stations, ports, VTEPs and what the control plane sets', async () => {
  const switched = await running(lab());
  const began = switched.datapath.history();
  const of = (kind: string, where: string) => ({ kind, network: 'net', port: where });
  expect(told(began.lines)).toEqual([of('portUp', 'a'), of('portUp', 'b'), of('vtepUp', TUNNEL)]);
  expect(began.lines.map(({ seq }) => seq)).toEqual([0, 1, 2]);
  await switched.enter('a', frame(STATION));
  await switched.arrive(datagram(frame(STATION)));
  const entry = { mac: STATION, origin: 'control', to: { port: 'b' } } as const;
  const neighbor = {
    ip: '10.0.0.1',
    mac: STATION,
    local: true,
    state: 'live',
    router: false,
  } as const;
  await switched.apply(desired(lab({ fdb: [entry], neighbors: [neighbor] })));
  await switched.apply(desired(lab({ ports: [port('b')] })));
  const learned = { mac: STATION, origin: 'learned' };
  expect(told(switched.datapath.history(3).lines)).toEqual([
    { ...of('learned', 'a'), ...learned },
    { ...of('moved', TUNNEL), ...learned, from: 'a' },
    { kind: 'neighborSet', network: 'net', ip: '10.0.0.1', mac: STATION },
    {
      ...of('set', 'b'),
      mac: STATION,
      origin: 'control',
      from: TUNNEL,
      fromOrigin: 'learned',
    },
    of('portDown', 'a'),
    { kind: 'neighborRemoved', network: 'net', ip: '10.0.0.1', mac: STATION },
    { ...of('removed', 'b'), mac: STATION, origin: 'control' },
  ]);
});

it('knows the FDB as it was', async () => {
  const switched = await running(lab());
  const moments: [number, unknown][] = [];
  const look = () => {
    const at = Math.max(...switched.datapath.history().lines.map((line) => line.at));
    moments.push([at, placesOf(switched.datapath.fdb())]);
  };
  await switched.enter('a', frame(STATION));
  look();
  await later(moments);
  await switched.arrive(datagram(frame(STATION)), datagram(frame(OTHER)));
  look();
  await later(moments);
  switched.datapath.fdbFlush('net');
  look();
  const now = switched.datapath.fdb().map(({ network, mac, origin, port }) => {
    return { network, mac, origin, port };
  });
  const { lines, completeSince } = switched.datapath.history();
  for (const [at, places] of moments) {
    expect(at).toBeGreaterThanOrEqual(completeSince);
    const past = fdbAt(at, now, lines).map(({ mac, port }) => [mac, port]);
    expect(past).toEqual(places);
  }
  expect(moments.map(([, places]) => (places as unknown[]).length)).toEqual([1, 2, 0]);
});

function placesOf(entries: FdbEntry[]) {
  return entries.map(({ mac, port, remote, udpPort }) => [mac, port ?? `${remote}:${udpPort}`]);
}

/** Until the clock shows another millisecond than that of the last moment. */
async function later(moments: readonly [number, unknown][]): Promise<void> {
  const last = moments.at(-1)?.[0] ?? 0;
  while (Date.now() <= last) await new Promise(setImmediate);
}

it('tells a lower path MTU', async () => {
  const switched = await running(lab());
  const then = switched.datapath.history().lines.length;
  await switched.apply({ ...desired(lab()), underlayMtu: 1400 });
  expect(told(switched.datapath.history(then).lines)).toEqual([
    { kind: 'pathMtu', network: 'net', port: TUNNEL, from: '1500', detail: '1400' },
  ]);
});
