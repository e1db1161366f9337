// The packets of a pcapng file and what stands beside them (draft-ietf-opsawg-pcapng, section 4).

import { BLOCK, type PcapngBlock, PcapngReader, pcapngOptions, u16, u32 } from '../pcapngBlocks.js';
import type { CapturedPacket, CaptureItem, CaptureProblem, CaptureReader } from './packet.js';

interface Interface {
  readonly linkType: number;
  /** 0 = whole packets. */
  readonly snaplen: number;
  /** Its clock's ticks in a microsecond, and what stands between its zero and that of Unix. */
  readonly perMicrosecond: number;
  readonly offset: number;
}

export class PcapngPackets implements CaptureReader {
  readonly #blocks = new PcapngReader();
  /** Of this section. */
  #interfaces: Interface[] = [];
  #at = 0;

  *read(chunk: Buffer): Generator<CaptureItem, void> {
    for (const step of this.#blocks.read(chunk)) {
      if (!step.ok) {
        yield { kind: 'problem', at: step.at, what: step.what };
        return;
      }
      const item = this.#item(step);
      if (item !== undefined) yield item;
      this.#at += step.bytes.length;
    }
  }

  end(): CaptureProblem | undefined {
    const problem = this.#blocks.end();
    return problem && { kind: 'problem', at: problem.at, what: problem.what };
  }

  #item(block: PcapngBlock): CaptureItem | undefined {
    switch (block.type) {
      case BLOCK.section:
        this.#interfaces = [];
        return undefined;
      case BLOCK.interface:
        return this.#interface(block);
      case BLOCK.enhancedPacket:
        return this.#packet(block, (body) => u32(body, 0, block.order));
      case BLOCK.packet:
        return this.#packet(block, (body) => u16(body, 0, block.order));
      case BLOCK.simplePacket:
        return this.#simplePacket(block);
      case BLOCK.interfaceStatistics:
        return statistics(block);
      default:
        return undefined;
    }
  }

  #interface(block: PcapngBlock): CaptureProblem | undefined {
    const { body, order } = block;
    if (body.length < 8) return this.#left('has an interface without its fields');
    if (this.#interfaces.length >= MAX_INTERFACES) {
      return this.#left(`has more than ${MAX_INTERFACES} interfaces`);
    }
    let [perMicrosecond, offset] = [1, 0];
    for (const { code, value } of pcapngOptions(block, 8)) {
      if (code === IF_TSRESOL && value.length >= 1) perMicrosecond = ticks(value.readUInt8(0));
      if (code === IF_TSOFFSET && value.length >= 8) {
        offset = Number(order === 'little' ? value.readBigInt64LE(0) : value.readBigInt64BE(0));
      }
    }
    const [linkType, snaplen] = [u16(body, 0, order), u32(body, 4, order)];
    this.#interfaces.push({ linkType, snaplen, perMicrosecond, offset: offset * 1e6 });
    return undefined;
  }

  #packet(
    block: PcapngBlock,
    interfaceOf: (body: Buffer) => number,
  ): CapturedPacket | CaptureProblem {
    const { body, order } = block;
    if (body.length < PACKET_FIELDS) return this.#left('has a packet without its fields');
    const from = this.#interfaces[interfaceOf(body)];
    if (from === undefined) return this.#left('has a packet of an interface that it does not name');
    const captured = u32(body, 12, order);
    if (captured > body.length - PACKET_FIELDS) {
      return this.#left('has a packet that is longer than its block');
    }
    const ticks = u32(body, 4, order) * 2 ** 32 + u32(body, 8, order);
    const end = PACKET_FIELDS + captured;
    return {
      kind: 'packet',
      linkType: from.linkType,
      at: ticks / from.perMicrosecond + from.offset,
      bytes: body.subarray(PACKET_FIELDS, end),
      length: Math.max(captured, u32(body, 16, order)),
      comments: comments(block, (end + 3) & ~3),
    };
  }

  /** Section 4.4: it has neither time nor interface, which then is the first. */
  #simplePacket(block: PcapngBlock): CapturedPacket | CaptureProblem {
    const { body, order } = block;
    const [from] = this.#interfaces;
    if (from === undefined) return this.#left('has a packet of an interface that it does not name');
    if (body.length < 4) return this.#left('has a packet without its fields');
    const length = u32(body, 0, order);
    const captured = Math.min(length, from.snaplen || length, body.length - 4);
    return {
      kind: 'packet',
      linkType: from.linkType,
      at: undefined,
      bytes: body.subarray(4, 4 + captured),
      length,
      comments: [],
    };
  }

  /** A block that says nothing to us; the next one may. */
  #left(what: string): CaptureProblem {
    return { kind: 'problem', at: this.#at, what };
  }
}

function statistics(block: PcapngBlock): CaptureItem {
  let lost = 0;
  for (const { code, value } of pcapngOptions(block, STATISTICS_FIELDS)) {
    if (code !== ISB_IFDROP || value.length < 8) continue;
    lost = Number(block.order === 'little' ? value.readBigUInt64LE(0) : value.readBigUInt64BE(0));
  }
  return { kind: 'statistics', comments: comments(block, STATISTICS_FIELDS), lost };
}

function comments(block: PcapngBlock, from: number): readonly string[] {
  if (from >= block.body.length) return NONE;
  return [...pcapngOptions(block, from)]
    .filter(({ code }) => code === OPT_COMMENT)
    .map(({ value }) => value.toString('utf8'));
}

/** Section 4.2, if_tsresol: a negative power of 10, or of 2 where the highest bit is set. */
function ticks(resolution: number): number {
  const perSecond = resolution & 0x80 ? 2 ** (resolution & 0x7f) : 10 ** resolution;
  return perSecond / 1e6;
}

const NONE: readonly string[] = [];
const OPT_COMMENT = 1;
const IF_TSRESOL = 9;
const IF_TSOFFSET = 14;
const ISB_IFDROP = 5;
/** Interface, time and two lengths; of the obsolete block as well. */
const PACKET_FIELDS = 20;
const STATISTICS_FIELDS = 12;
const MAX_INTERFACES = 65_536;
