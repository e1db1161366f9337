// From the stream that the datapath writes to where the packets shall be: in whole blocks, counted on the way.

import { SwitchError } from '../model/error.js';
import type { BlockTarget } from './blockTarget.js';
import {
  BLOCK,
  type PcapngBlock,
  PcapngReader,
  type PcapngRun,
  pcapngOptions,
  u32,
} from './pcapngBlocks.js';

export interface Recording {
  readonly packets: number;
  /** What the statistics blocks say: packets for which there was no room. */
  readonly lost: number;
  readonly bytes: number;
  readonly end: RecordingEnd;
}

export type RecordingEnd =
  /** The stream has ended. `whole`: after the statistics of every interface, or before any packet. */
  | { readonly by: 'stream'; readonly whole: boolean }
  /** Nobody reads the target any more. */
  | { readonly by: 'reader' }
  /** The target failed, or what came is no pcapng. */
  | { readonly by: 'failure'; readonly error: SwitchError };

/**
 * Copies the stream to `target` until one of them ends; never rejects. It reads no faster than the target takes, and
 * holds one chunk, which it needs until the next one is asked for, and the part of one block. `begun` is called when the first bytes have come: from then on packets
 * are taken.
 */
export async function record(
  stream: AsyncIterable<Uint8Array>,
  target: BlockTarget,
  begun: () => void,
): Promise<Recording> {
  const reader = new PcapngReader();
  const tally = new Tally();
  let isFirst = true;
  try {
    for await (const chunk of chunksOf(stream)) {
      const runs: PcapngRun[] = [];
      let broken: SwitchError | undefined;
      for (const step of reader.readRuns(chunk)) {
        if (step.ok) runs.push(step);
        else broken = new SwitchError('INTERNAL', 'capture', { detail: `pcapng ${step.what}` });
      }
      if (runs.length > 0) {
        if (!(await target.write(runs))) return tally.ended({ by: 'reader' });
        for (const run of runs) tally.add(run);
        if (isFirst) begun();
        isFirst = false;
      }
      if (broken) return tally.ended({ by: 'failure', error: broken });
    }
    return tally.ended({ by: 'stream', whole: reader.held === 0 && tally.isWhole });
  } catch (error) {
    if (!(error instanceof SwitchError)) throw error;
    return tally.ended({ by: 'failure', error });
  }
}

/** A connection that breaks is one that ends. */
async function* chunksOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const chunks = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch(() => undefined);
      if (next === undefined || next.done) return;
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}

class Tally {
  #packets = 0;
  #bytes = 0;
  #lostBefore = 0;
  /** Of the section that is read, by interface: the last statistics are the ones that count. */
  #lost = new Map<number, number>();
  #packetsSinceStatistics = 0;

  get isWhole(): boolean {
    return this.#packetsSinceStatistics === 0;
  }

  add(run: PcapngRun): void {
    this.#bytes += run.bytes.length;
    if (run.type === 'packets') {
      this.#packets += run.packets;
      this.#packetsSinceStatistics += run.packets;
    } else if (run.type === BLOCK.section) {
      this.#lostBefore = this.#sum();
      this.#lost.clear();
    } else if (run.type === BLOCK.interfaceStatistics && run.body.length >= STATISTICS_FIXED) {
      this.#packetsSinceStatistics = 0;
      this.#lost.set(u32(run.body, 0, run.order), lostOf(run));
    }
  }

  ended(end: RecordingEnd): Recording {
    return { packets: this.#packets, lost: this.#sum(), bytes: this.#bytes, end };
  }

  #sum(): number {
    return [...this.#lost.values()].reduce((sum, lost) => sum + lost, this.#lostBefore);
  }
}

function lostOf(block: PcapngBlock): number {
  let lost = 0;
  for (const { code, value } of pcapngOptions(block, STATISTICS_FIXED)) {
    if (code !== INTERFACE_DROP || value.length !== 8) continue;
    const wide = block.order === 'little' ? value.readBigUInt64LE() : value.readBigUInt64BE();
    lost += Number(wide);
  }
  return lost;
}

/** Interface and time, before the options of an interface statistics block: section 4.6. */
const STATISTICS_FIXED = 12;
/** isb_ifdrop. */
const INTERFACE_DROP = 5;
