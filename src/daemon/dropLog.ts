// Drops in the log: when they begin at some place, and then at most every ten seconds how many there were.
// They are read off the counters, so that no rate of frames makes work here.

import type { Logger } from 'pino';
import type { Counters } from '../datapath/seam.js';
import type { DropReason } from '../model/counters.js';
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
  readonly reason: string;
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
  /** By place, then by reason. */
  #known = new Map<string, ReadonlyMap<string, Known>>();

  take(counters: Counters, now: number): Told {
    const next = new Map<string, ReadonlyMap<string, Known>>();
    const due: (DropLine & { readonly known: Known })[] = [];
    for (const { drops, notes: _, ...place } of placesOf(counters)) {
      const key = `${place.place} ${place.network} ${place.port}`;
      const reasons = new Map<string, Known>();
      for (const { reason, frames } of drops) {
        const before = this.#known.get(key)?.get(reason) ?? NOTHING;
        // Less than before: another one of that name.
        const news = frames < before.frames ? frames : frames - before.frames;
        const known = { frames, pending: before.pending + news, toldAt: before.toldAt };
        reasons.set(reason, known);
        if (known.pending > 0 && now - known.toldAt >= PAUSE_MS) {
          due.push({ ...place, reason, frames: known.pending, known });
        }
      }
      next.set(key, reasons);
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

const NOTHING: Readonly<Known> = { frames: 0, pending: 0, toldAt: -PAUSE_MS };

/** One record for each line: of frames that came in damaged or could not leave as a warning, of decisions as information. */
export function logDrops(
  { lines, waiting }: Told,
  reasons: ReadonlyMap<string, DropReason>,
  log: Logger,
): void {
  for (const { reason, frames, place, network, port } of lines) {
    const { stage, sentence } = reasons.get(reason) ?? {};
    const record = {
      ...{ reason, frames, place },
      ...(network !== '' && { network }),
      ...(port !== '' && { port }),
    };
    const level = stage === 'ingress' ? 'info' : 'warn';
    log[level](record, `dropped: ${sentence ?? reason}`);
  }
  if (waiting > 0)
    log.warn({ waiting }, 'drops for more reasons and at more places than are told at once');
}
