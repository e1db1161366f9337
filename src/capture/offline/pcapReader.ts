// The classic format of libpcap (draft-ietf-opsawg-pcap), in both byte orders, of micro- or nanoseconds.
//
//   | magic 4 | version 2+2 | reserved 8 | snaplen 4 | link type 4 |        then for each packet
//   | seconds 4 | fraction 4 | captured length 4 | original length 4 | bytes |

import { type ByteOrder, u32 } from '../pcapngBlocks.js';
import type { CapturedPacket, CaptureItem, CaptureProblem, CaptureReader } from './packet.js';

/** Byte order and the fractions of a second that its times count in, by the first four bytes; undefined: no pcap. */
export function pcapVariant(magic: Buffer): PcapVariant | undefined {
  return VARIANTS.find(({ order, number }) => u32(magic, 0, order) === number);
}

export interface PcapVariant {
  readonly order: ByteOrder;
  readonly number: number;
  readonly perMicrosecond: number;
}

export class PcapReader implements CaptureReader {
  readonly #order: ByteOrder;
  readonly #perMicrosecond: number;
  #linkType: number | undefined;
  #held: Buffer = Buffer.alloc(0);
  /** Of `#held`, from the start of the file. */
  #at = 0;
  #broken = false;

  constructor(variant: PcapVariant) {
    this.#order = variant.order;
    this.#perMicrosecond = variant.perMicrosecond;
  }

  *read(chunk: Buffer): Generator<CaptureItem, void> {
    if (this.#broken) return;
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    if (this.#linkType === undefined) {
      if (this.#held.length < FILE_HEADER) return;
      // The upper bits say whether there is an FCS; what lies behind the IP packet is ignored anyway.
      this.#linkType = u32(this.#held, 20, this.#order) & 0x03ff_ffff;
      this.#skip(FILE_HEADER);
    }
    for (let item = this.#next(); item !== undefined; item = this.#next()) yield item;
  }

  end(): CaptureProblem | undefined {
    if (this.#broken) return undefined;
    if (this.#linkType === undefined) return this.#fail('ends within its header');
    return this.#held.length > 0 ? this.#fail('ends within a packet') : undefined;
  }

  #next(): CapturedPacket | CaptureProblem | undefined {
    const [bytes, order] = [this.#held, this.#order];
    if (this.#broken || bytes.length < RECORD_HEADER) return undefined;
    const captured = u32(bytes, 8, order);
    if (captured > MAX_PACKET) return this.#fail(`has a packet of ${captured} bytes`);
    if (bytes.length < RECORD_HEADER + captured) return undefined;
    this.#skip(RECORD_HEADER + captured);
    const fraction = u32(bytes, 4, order) / this.#perMicrosecond;
    return {
      kind: 'packet',
      linkType: this.#linkType ?? 0,
      at: u32(bytes, 0, order) * 1e6 + fraction,
      bytes: bytes.subarray(RECORD_HEADER, RECORD_HEADER + captured),
      length: Math.max(captured, u32(bytes, 12, order)),
      comments: [],
    };
  }

  #skip(bytes: number): void {
    this.#held = this.#held.subarray(bytes);
    this.#at += bytes;
  }

  #fail(what: string): CaptureProblem {
    this.#broken = true;
    this.#held = Buffer.alloc(0);
    return { kind: 'problem', at: this.#at, what };
  }
}

const VARIANTS: readonly PcapVariant[] = (['little', 'big'] as const).flatMap((order) => [
  { order, number: 0xa1b2c3d4, perMicrosecond: 1 },
  { order, number: 0xa1b23c4d, perMicrosecond: 1000 },
]);
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
/** More than any capture keeps of a packet. */
const MAX_PACKET = 16 * 1024 * 1024;
