// Which format a capture has is told by its first four bytes.

import type { CaptureItem, CaptureProblem, CaptureReader } from './packet.js';
import { PcapngPackets } from './pcapngPackets.js';
import { PcapReader, pcapVariant } from './pcapReader.js';

/** Reads pcap and pcapng. Never throws: what is neither is a problem. */
export class AnyCaptureReader implements CaptureReader {
  /** What it is, once that is known. */
  format: 'pcap' | 'pcapng' | undefined;
  #reader: CaptureReader | undefined;
  #start: Buffer = Buffer.alloc(0);
  #broken = false;

  *read(chunk: Buffer): Generator<CaptureItem, void> {
    if (this.#broken) return;
    if (this.#reader !== undefined) {
      yield* this.#reader.read(chunk);
      return;
    }
    this.#start = Buffer.concat([this.#start, chunk]);
    if (this.#start.length < MAGIC_LENGTH) return;
    const start = this.#start;
    this.#start = Buffer.alloc(0);
    this.#reader = this.#choose(start);
    if (this.#reader === undefined) {
      this.#broken = true;
      yield { kind: 'problem', at: 0, what: strangeStart(start) };
      return;
    }
    yield* this.#reader.read(start);
  }

  end(): CaptureProblem | undefined {
    if (this.#broken) return undefined;
    if (this.#reader !== undefined) return this.#reader.end();
    const what = this.#start.length === 0 ? 'is empty' : 'ends within its first four bytes';
    return { kind: 'problem', at: 0, what };
  }

  #choose(start: Buffer): CaptureReader | undefined {
    if (start.readUInt32BE(0) === PCAPNG_MAGIC) {
      this.format = 'pcapng';
      return new PcapngPackets();
    }
    const variant = pcapVariant(start);
    if (variant === undefined) return undefined;
    this.format = 'pcap';
    return new PcapReader(variant);
  }
}

function strangeStart(start: Buffer): string {
  if (start.readUInt16BE(0) === GZIP_MAGIC) return 'is compressed: give `zcat FILE | ... pcap -`';
  return 'is neither pcap nor pcapng';
}

const MAGIC_LENGTH = 4;
/** The same in both byte orders. */
const PCAPNG_MAGIC = 0x0a0d0d0a;
const GZIP_MAGIC = 0x1f8b;
