/** The real addon between memory ports and a memory underlay. */

import { CounterViews } from '../../src/daemon/counterViews.js';
import { loadAddon } from '../../src/datapath/binding.js';
import { Datapath } from '../../src/datapath/datapath.js';
import type {
  ApplyReport,
  Counters,
  DatapathEvent,
  DesiredState,
  MemoryDatagram,
  NativeDatapath,
} from '../../src/datapath/seam.js';
import { assertBalanced } from '../support/balance.js';
import { eventually } from '../support/eventually.js';
import { vxlan } from '../support/frames.js';
import type { Scope } from '../support/scope.js';
import { OWN, PEER } from './desired.js';

export const addon = loadAddon();

const views = new CounterViews(addon.dropReasons());

/** Where a datagram comes from and whereto; what is absent is `PEER`, our VTEP, VNI 256, UDP port 4789, TOS 0. */
export interface Envelope {
  readonly from?: string;
  readonly vni?: number;
  readonly udpPort?: number;
  readonly tos?: number;
}

/** A frame as a peer sends it. */
export function datagram(frame: Uint8Array, envelope: Envelope = {}): MemoryDatagram {
  return {
    source: envelope.from ?? PEER,
    sourcePort: 50_000,
    destination: OWN,
    destinationPort: envelope.udpPort ?? 4789,
    tos: envelope.tos ?? 0,
    payload: vxlan({ vni: envelope.vni ?? 256 }, frame),
  };
}

/** A switch, what was given to it and what it gave. Its methods fail with `SwitchError` where the daemon would see one. */
export class MemorySwitch {
  /** As the program sees it. */
  readonly datapath: Datapath;
  /** With what only tests call. */
  readonly native: NativeDatapath;
  /** How often it said that events wait. */
  wakes = 0;
  #frames = 0;
  #datagrams = 0;
  /** When last applied. */
  #base: Counters;

  constructor() {
    const native = new addon.Datapath();
    const ready = new Proxy(addon.Datapath, { construct: () => native });
    this.datapath = new Datapath({ ...addon, Datapath: ready });
    this.native = native;
    this.#base = native.counters();
  }

  /** A switch that runs until the scope ends. */
  static async running(scope: Scope, desired: DesiredState): Promise<MemorySwitch> {
    const made = new MemorySwitch();
    await scope.defer('the switch', () => made.datapath.stop());
    await made.apply(desired);
    made.datapath.start(() => {
      made.wakes += 1;
    });
    return made;
  }

  /** Waits for the end of all traffic, then applies. */
  async apply(desired: DesiredState): Promise<ApplyReport> {
    await this.settled();
    try {
      return await this.datapath.apply(desired);
    } finally {
      this.#base = this.native.counters();
      this.#frames = 0;
      this.#datagrams = 0;
    }
  }

  /** Frames enter at a port; done when all of them have gone their way. */
  async enter(port: string, ...frames: Uint8Array[]): Promise<Counters> {
    for (const frame of frames) {
      this.native.inject(port, frame);
      this.#frames += 1;
    }
    return await this.settled();
  }

  /** Datagrams arrive; done when all of them have gone their way. */
  async arrive(...datagrams: MemoryDatagram[]): Promise<Counters> {
    this.native.underlayInject(datagrams);
    this.#datagrams += datagrams.length;
    return await this.settled();
  }

  /** What left at a port since the last call. */
  left(port: string): Buffer[] {
    return this.native.memoryTake(port).map((frame) => Buffer.from(frame));
  }

  /** What left for peers since the last call. */
  sent(): MemoryDatagram[] {
    return this.native.underlayTake();
  }

  /** All events that wait. */
  events(): DatapathEvent[] {
    return this.datapath.drain(10_000);
  }

  /** The counters once they account for everything that was given and balance, twice the same. */
  async settled(): Promise<Counters> {
    let last = '';
    return await eventually(
      'every frame is accounted for',
      () => {
        const now = this.native.counters();
        const given = [
          framesIn(now) - framesIn(this.#base) - this.#frames,
          now.underlay.datagrams - this.#base.underlay.datagrams - this.#datagrams,
        ];
        if (given.some((missing) => missing !== 0)) throw new Error(`over or under by ${given}`);
        assertBalanced(views.counters(now, Date.now()));
        const looked = JSON.stringify([now.underlay, now.networks]);
        const same = looked === last;
        last = looked;
        return same && now;
      },
      { every: 1 },
    );
  }
}

/** How often `reason` was counted, anywhere. */
export function dropped(counters: Counters, reason: string): number {
  return views.totals(counters).find((drop) => drop.reason === reason)?.frames ?? 0;
}

/** Every reason that was counted. */
export function droppedFor(counters: Counters): Record<string, number> {
  // Its own: one remembers what networks that are no more have dropped.
  const own = new CounterViews(addon.dropReasons());
  const totals = own.totals(counters).filter(({ frames }) => frames > 0);
  return Object.fromEntries(totals.map(({ reason, frames }) => [reason, frames]));
}

function framesIn(counters: Counters): number {
  const ports = counters.networks.flatMap((network) => network.ports);
  return ports
    .filter(({ kind }) => kind !== 'tunnel')
    .reduce((sum, { rxFrames }) => sum + rxFrames, 0);
}
