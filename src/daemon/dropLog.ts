// Drops in the log: when they begin at some place, and then at most every ten seconds how many there were.
// They are read off the counters, so that no rate of frames makes work here.

import type { Logger } from 'pino';
import type { CountersView, DropView } from '../control/views.js';
import { type Place, placesOf } from './metrics/drops.js';

/** Between two lines about one reason at one place. */
const PAUSE_MS = 10_000;
/** In one reading: the largest first. */
const MOST_LINES = 10;

interface Known {
  frames: number;
  /** Not told yet. */
  pending: number;
  toldAt: number;
}

export interface DropLine extends Place {
  readonly drop: DropView;
  /** Since the last line about it. */
  readonly frames: number;
}

export interface Told {
  readonly lines: readonly DropLine[];
  /** How many places and reasons have to wait for a later reading. */
  readonly waiting: number;
}

/** What is to be told, from reading to reading. Time is an argument: milliseconds that never go back. */
export class DropDigest {
  #known = new Map<string, Known>();

  take(counters: CountersView, now: number): Told {
    const next = new Map<string, Known>();
    const due: (DropLine & { readonly known: Known })[] = [];
    for (const { drops, notes: _, ...place } of placesOf(counters)) {
      for (const drop of drops) {
        const key = JSON.stringify([place, drop.reason]);
        const before = this.#known.get(key) ?? { frames: 0, pending: 0, toldAt: -PAUSE_MS };
        // Less than before: another one of that name.
        const news = drop.frames < before.frames ? drop.frames : drop.frames - before.frames;
        const known = { ...before, frames: drop.frames, pending: before.pending + news };
        next.set(key, known);
        if (known.pending > 0 && now - known.toldAt >= PAUSE_MS) {
          due.push({ ...place, drop, frames: known.pending, known });
        }
      }
    }
    this.#known = next;
    const lines = due.sort((a, b) => b.frames - a.frames).slice(0, MOST_LINES);
    for (const { known } of lines) {
      known.pending = 0;
      known.toldAt = now;
    }
    return { lines, waiting: due.length - lines.length };
  }
}

/** One record for each line: of frames that came in damaged or could not leave as a warning, of decisions as information. */
export function logDrops({ lines, waiting }: Told, log: Logger): void {
  for (const { drop, frames, place, network, port } of lines) {
    const record = {
      ...{ reason: drop.reason, frames, place },
      ...(network !== '' && { network }),
      ...(port !== '' && { port }),
    };
    const level = drop.stage === 'ingress' ? 'info' : 'warn';
    log[level](record, `dropped: ${drop.sentence}`);
  }
  if (waiting > 0)
    log.warn({ waiting }, 'drops for more reasons and at more places than are told at once');
}
