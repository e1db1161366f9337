// pcapng by its blocks (draft-ietf-opsawg-pcapng, section 3): where one ends and the next begins, in either
// byte order. What is wrong is an answer, never an exception, and nothing larger than a block is held.
//
//   | type 4 | total length 4 | body, padded to 4 | total length 4 |

/** Block types, section 11.1. */
export const BLOCK = {
  section: 0x0a0d0d0a,
  interface: 1,
  packet: 2,
  simplePacket: 3,
  interfaceStatistics: 5,
  enhancedPacket: 6,
} as const;

/** One whole block. Its bytes are a view of what was read: who keeps them longer than that copies. */
export interface PcapngBlock {
  readonly ok: true;
  readonly type: number;
  /** Byte order of its section. */
  readonly order: ByteOrder;
  /** From the type to the second length. */
  readonly bytes: Buffer;
  /** Without type and lengths; a multiple of 4. */
  readonly body: Buffer;
}

/** Where it cannot be read any further, and why. */
export interface PcapngProblem {
  readonly ok: false;
  /** Offset of the block that is bad, in bytes from the start. */
  readonly at: number;
  /** Without subject, such as `ends within a block`. */
  readonly what: string;
}

export type PcapngStep = PcapngBlock | PcapngProblem;

export type ByteOrder = 'little' | 'big';

/** Largest block that is read; Wireshark's limit too. */
export const MAX_BLOCK = 16 * 1024 * 1024;

/**
 * Takes bytes as they come and gives the blocks that are complete. reading -> broken, no way back: after a
 * problem it gives nothing more. Holds at most the part of one block.
 */
export class PcapngReader {
  #parts: Buffer[] = [];
  #held = 0;
  /** Bytes without which going on is no use. */
  #wanted = HEAD;
  #at = 0;
  #order: ByteOrder | undefined;
  #broken = false;

  /** Bytes held back because their block is not complete. */
  get held(): number {
    return this.#held;
  }

  /** The blocks that `chunk` completes, in their order, as views of it where it holds them whole. */
  *read(chunk: Uint8Array): Generator<PcapngStep, void> {
    if (this.#broken) return;
    this.#parts.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    this.#held += chunk.byteLength;
    if (this.#held < this.#wanted) return;
    const bytes = joined(this.#parts);
    let at = 0;
    let wanted = HEAD;
    try {
      for (;;) {
        const step = this.#next(bytes, at);
        if (typeof step === 'number') {
          wanted = step;
          return;
        }
        if (typeof step === 'string') {
          yield this.#fail(step);
          return;
        }
        at += step.bytes.length;
        this.#at += step.bytes.length;
        yield step;
      }
    } finally {
      // Also when whoever reads has stopped at a block, and will go on with the next chunk.
      this.#hold(this.#broken ? NOTHING : bytes.subarray(at), wanted);
    }
  }

  /** To be asked when no more bytes come: what is missing. */
  end(): PcapngProblem | undefined {
    if (this.#broken) return undefined;
    if (this.#held > 0) return this.#fail('ends within a block');
    return this.#order === undefined ? this.#fail('is empty') : undefined;
  }

  /** The block at `at`; or how many bytes are needed to say more; or what is wrong. */
  #next(bytes: Buffer, at: number): PcapngBlock | number | string {
    const there = bytes.length - at;
    if (there < HEAD) return HEAD;
    const isSection = bytes.readUInt32LE(at) === BLOCK.section;
    if (isSection) {
      if (there < SECTION_HEAD) return SECTION_HEAD;
      const order = orderOf(bytes.readUInt32LE(at + 8));
      if (order === undefined) return 'has a section of unknown byte order';
      this.#order = order;
    }
    const order = this.#order;
    if (order === undefined) return 'does not begin with a section header: it is no pcapng';
    const length = u32(bytes, at + 4, order);
    if (length > MAX_BLOCK) return `has a block of ${length} bytes, more than is read`;
    if (length % 4 !== 0 || length < (isSection ? SECTION_MIN : BLOCK_MIN)) {
      return `has a block of the impossible length ${length}`;
    }
    if (there < length) return length;
    if (u32(bytes, at + length - 4, order) !== length)
      return 'has a block whose two lengths differ';
    return new Block(u32(bytes, at, order), order, bytes.subarray(at, at + length));
  }

  #hold(rest: Buffer, wanted: number): void {
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    this.#wanted = wanted;
  }

  #fail(what: string): PcapngProblem {
    this.#broken = true;
    this.#hold(NOTHING, HEAD);
    return { ok: false, at: this.#at, what };
  }
}

/** Most blocks are given on as they are: their body is not looked at. */
class Block implements PcapngBlock {
  readonly ok = true;
  readonly type: number;
  readonly order: ByteOrder;
  readonly bytes: Buffer;

  constructor(type: number, order: ByteOrder, bytes: Buffer) {
    this.type = type;
    this.order = order;
    this.bytes = bytes;
  }

  get body(): Buffer {
    return this.bytes.subarray(8, this.bytes.length - 4);
  }
}

/** The blocks of a whole file; a problem comes last. */
export function* pcapngBlocks(bytes: Uint8Array): Generator<PcapngStep, void> {
  const reader = new PcapngReader();
  yield* reader.read(bytes);
  const problem = reader.end();
  if (problem) yield problem;
}

/** The blocks of a stream as they become complete; a problem comes last. What the stream throws is thrown on. */
export async function* pcapngBlocksFrom(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<PcapngStep, void> {
  const reader = new PcapngReader();
  for await (const chunk of stream) yield* reader.read(chunk);
  const problem = reader.end();
  if (problem) yield problem;
}

/** One option of a block, section 3.5; `value` without its padding. */
export interface PcapngOption {
  readonly code: number;
  readonly value: Buffer;
}

/**
 * The options of a block, which begin at `from` of its body and reach to the end. What does not fit ends the list:
 * options are remarks, and a bad one does not spoil the packet.
 */
export function* pcapngOptions(block: PcapngBlock, from: number): Generator<PcapngOption, void> {
  const { body, order } = block;
  for (let at = from; at + 4 <= body.length; ) {
    const code = u16(body, at, order);
    const length = u16(body, at + 2, order);
    if (code === END_OF_OPTIONS || at + 4 + length > body.length) return;
    yield { code, value: body.subarray(at + 4, at + 4 + length) };
    at += 4 + padded(length);
  }
}

export function isPacket({ type }: PcapngBlock): boolean {
  return type === BLOCK.enhancedPacket || type === BLOCK.simplePacket || type === BLOCK.packet;
}

export function u16(bytes: Buffer, at: number, order: ByteOrder): number {
  return order === 'little' ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

export function u32(bytes: Buffer, at: number, order: ByteOrder): number {
  return order === 'little' ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

/** Section 3.6.1: everything is filled up to 32 bits. */
export function padded(length: number): number {
  return (length + 3) & ~3;
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts);
}

function orderOf(magicAsLittle: number): ByteOrder | undefined {
  if (magicAsLittle === MAGIC) return 'little';
  return magicAsLittle === MAGIC_SWAPPED ? 'big' : undefined;
}

const NOTHING = Buffer.alloc(0);
/** Type and length. */
const HEAD = 8;
/** Type, length and byte-order magic. */
const SECTION_HEAD = 12;
const BLOCK_MIN = 12;
/** Section 4.1: magic, version and section length. */
const SECTION_MIN = 28;
const MAGIC = 0x1a2b3c4d;
const MAGIC_SWAPPED = 0x4d3c2b1a;
const END_OF_OPTIONS = 0;
