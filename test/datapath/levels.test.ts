/**
 * Whole states, not steps: whatever was applied before, and whatever traffic there was, a switch is what a fresh one
 * would be after the last state alone, but for what it has learned.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DesiredState, FdbEntry, FdbSpec, NetworkSpec } from '../../src/datapath/seam.js';
import { ethernet } from '../support/frames.js';
import { Scope } from '../support/scope.js';
import { desired, network, port } from './desired.js';
import { datagram, droppedFor, MemorySwitch } from './memorySwitch.js';

// Few of everything, so that things meet.
const MACS = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03', '02:00:00:00:00:04'];
const PORTS = ['p', 'q', 'r', 's'];
const HOMES = ['one', 'one', 'two', 'none'];
const VNIS = [1, 2];
const REMOTES = ['10.200.0.2', '10.200.0.3', '10.200.0.4'];

// Most states are alike, or nothing would be carried over from one to the next.
const mostly = <T>(usual: T, other: T) =>
  fc.oneof(
    { weight: 7, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constant(other) },
  );
const udpPort = mostly(4789, 8472);

const mac = fc.constantFrom(...MACS);
const key = fc.record({
  remote: fc.constantFrom(...REMOTES),
  udpPort,
  vni: fc.constantFrom(...VNIS),
});

const target: fc.Arbitrary<FdbSpec['to']> = fc.oneof(
  fc.constantFrom(...PORTS).map((name) => ({ port: name })),
  key.map((tunnel) => ({ tunnel })),
  fc.constant({ local: true }),
);

const fdb: fc.Arbitrary<FdbSpec[]> = fc.uniqueArray(
  fc.record({ mac, origin: fc.constantFrom('static' as const, 'control' as const), to: target }),
  { selector: (entry) => entry.mac, maxLength: 3 },
);

const tunnels: fc.Arbitrary<NetworkSpec['tunnels']> = fc.uniqueArray(
  fc.tuple(key, fc.boolean()).map(([identity, flood]) => ({ ...identity, flood })),
  { selector: (one) => `${one.remote} ${one.udpPort} ${one.vni}`, maxLength: 3 },
);

const settings = fc.record({
  udpPort,
  up: mostly(true, false),
  learning: mostly(true, false),
  maxMacs: mostly(100, 2),
  evictOldest: fc.boolean(),
  strictSource: mostly(true, false),
  dropUnknownUnicast: mostly(false, true),
  tunnels,
  fdb,
});

const portSettings = fc.record({
  mtu: mostly(1450, 68),
  floodUnknown: mostly(true, false),
  floodBroadcast: mostly(true, false),
  hairpin: fc.boolean(),
  maxMacs: mostly(100, 1),
});

/** Networks `one` and `two`, each there or not; a port is in one of them, or nowhere. */
const state: fc.Arbitrary<DesiredState> = fc
  .record({
    one: fc.option(fc.record({ vni: mostly(1, 2), settings }), { freq: 7 }),
    two: fc.option(fc.record({ vni: mostly(2, 1), settings }), { freq: 7 }),
    ports: fc.tuple(...HOMES.map((home) => fc.tuple(mostly(home, 'two'), portSettings))),
  })
  .map(({ ports, ...networks }) =>
    desired(
      ...Object.entries(networks).flatMap(([name, found]) => {
        if (found === null) return [];
        const attached = ports.flatMap(([home, given], n) =>
          home === name ? [port(PORTS[n] ?? '', given)] : [],
        );
        return [network(name, found.vni, { ...found.settings, ports: attached })];
      }),
    ),
  );

interface Traffic {
  /** A port's name or a VTEP's address. */
  readonly from: string;
  readonly vni: number;
  readonly udpPort: number;
  readonly frame: Uint8Array;
}

const traffic: fc.Arbitrary<Traffic[]> = fc.array(
  fc
    .record({
      from: fc.constantFrom(...PORTS, ...REMOTES, '10.200.0.9'),
      vni: fc.constantFrom(...VNIS, 3),
      udpPort,
      src: mac,
      dst: fc.constantFrom(...MACS, 'ff:ff:ff:ff:ff:ff', '01:00:5e:00:00:05'),
      length: fc.constantFrom(0, 60, 69),
    })
    .map(({ src, dst, length, ...rest }) => ({
      ...rest,
      frame: ethernet({ src, dst, type: 0x88b5 }, Buffer.alloc(length, 7)),
    })),
  { maxLength: 12 },
);

const step = fc.record({ state, traffic });

it('is in the end what the last state says', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 4 }),
      state,
      traffic,
      async (steps, last, after) => {
        const scope = new Scope();
        try {
          const used = await MemorySwitch.running(scope, desired());
          for (const { state, traffic } of steps) {
            await tryApply(used, state);
            await pass(used, traffic);
          }
          const isSound = await tryApply(used, last);
          const fresh = await MemorySwitch.running(scope, desired());
          expect(await tryApply(fresh, last)).toBe(isSound);
          if (!isSound) return;
          for (const { name } of last.networks) used.datapath.fdbFlush(name);
          expect(shape(used)).toEqual(shape(fresh));
          expect(await pass(used, after)).toEqual(await pass(fresh, after));
          expect(shape(used)).toEqual(shape(fresh));
        } finally {
          await scope.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});

/** Some states use a VNI twice and are refused: that must change nothing. */
async function tryApply(one: MemorySwitch, state: DesiredState): Promise<boolean> {
  const before = shape(one);
  try {
    await one.apply(state);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 'BAD_VALUE' });
    expect(shape(one)).toEqual(before);
    return false;
  }
}

/** Ports and table, without counts and ages. */
function shape(one: MemorySwitch): unknown {
  const networks = one.datapath.counters().networks.map(({ name, vni, ports, macs }) => ({
    name,
    vni,
    macs,
    ports: ports
      .map(({ name: called, kind, state, mtu, macs: behind }) => [called, kind, state, mtu, behind])
      .sort(),
  }));
  return { networks, fdb: one.datapath.fdb().map(({ idleSecs, ...entry }: FdbEntry) => entry) };
}

/** Sends one after the other and answers what came out where, and what was dropped why. */
async function pass(one: MemorySwitch, traffic: readonly Traffic[]): Promise<unknown> {
  const before = await one.settled();
  const attached = before.networks
    .flatMap((net) => net.ports.filter(({ kind }) => kind === 'memory'))
    .map(({ name }) => name);
  const outcomes: unknown[] = [];
  for (const { from, frame, ...envelope } of traffic) {
    if (attached.includes(from)) await one.enter(from, frame);
    else if (!PORTS.includes(from)) await one.arrive(datagram(frame, { from, ...envelope }));
    else continue;
    outcomes.push([
      attached.sort().map((name) => [name, one.left(name)]),
      one.sent().map(text).sort(),
    ]);
  }
  const was = droppedFor(before);
  const drops = Object.entries(droppedFor(await one.settled()))
    .map(([reason, frames]) => [reason, frames - (was[reason] ?? 0)])
    .filter(([, frames]) => frames !== 0);
  return { outcomes, drops };
}

function text(sent: { payload: Uint8Array }): string {
  return JSON.stringify({ ...sent, payload: Buffer.from(sent.payload).toString('hex') });
}
