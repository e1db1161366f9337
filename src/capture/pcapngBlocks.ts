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

/** Whole blocks of packets that lie behind each other. */
export interface PacketRun {
  readonly ok: true;
  readonly type: 'packets';
  /** How many, at least one. */
  readonly packets: number;
  /** Byte order of their section. */
  readonly order: ByteOrder;
  /** As of a block, from the first to the last. */
  readonly bytes: Buffer;
}

/** Packets as many as lie together, or one block of another kind. */
export type PcapngRun = PacketRun | PcapngBlock;

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
    const bytes = this.#take(chunk);
    if (bytes === undefined) return;
    let at = 0;
    try {
      for (;;) {
        const length = this.#measure(bytes, at);
        if (length === 0) return;
        if (typeof length === 'string') {
          yield this.#fail(length);
          return;
        }
        const block = this.#block(bytes, at, at + length);
        at += length;
        this.#at += length;
        yield block;
      }
    } finally {
      // Also when whoever reads has stopped at a block, and will go on with the next chunk.
      this.#hold(this.#broken ? NOTHING : bytes.subarray(at), this.#wanted);
    }
  }

  /** The same, packets together: for whoever only passes them on, at little cost for each. To be read to its end. */
  *readRuns(chunk: Uint8Array): Generator<PcapngRun | PcapngProblem, void> {
    for (let rest = chunk; rest.length > 0; ) {
      // Of what lies in two chunks only the block that does is copied.
      const length = this.#held === 0 ? rest.length : this.#wanted - this.#held;
      const bytes = this.#take(rest.subarray(0, length));
      if (bytes === undefined) return;
      yield* this.#runs(bytes);
      rest = rest.subarray(length);
    }
  }

  *#runs(bytes: Buffer): Generator<PcapngRun | PcapngProblem, void> {
    let [from, at, packets] = [0, 0, 0];
    for (;;) {
      const length = this.#measure(bytes, at);
      const order = this.#order ?? 'little';
      const isBlock = typeof length === 'number' && length > 0;
      if (isBlock && isPacketType(u32(bytes, at, order))) {
        at += length;
        packets += 1;
        continue;
      }
      if (packets > 0) yield runOf(bytes.subarray(from, at), packets, order);
      this.#at += at - from;
      if (!isBlock) {
        if (typeof length === 'string') yield this.#fail(length);
        else this.#hold(bytes.subarray(at), this.#wanted);
        return;
      }
      yield this.#block(bytes, at, at + length);
      at += length;
      this.#at += length;
      [from, packets] = [at, 0];
    }
  }

  /** To be asked when no more bytes come: what is missing. */
  end(): PcapngProblem | undefined {
    if (this.#broken) return undefined;
    if (this.#held > 0) return this.#fail('ends within a block');
    return this.#order === undefined ? this.#fail('is empty') : undefined;
  }

  /** All that is held and `chunk`, if that is enough to go on with. */
  #take(chunk: Uint8Array): Buffer | undefined {
    if (this.#broken) return undefined;
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const held = this.#held + chunk.byteLength;
    if (held >= this.#wanted) return joined([...this.#parts, view]);
    this.#parts.push(Buffer.from(view));
    this.#held = held;
    return undefined;
  }

  /** Length of the whole block at `at`; or 0, and `#wanted` says how many bytes it takes; or what is wrong. */
  #measure(bytes: Buffer, at: number): number | string {
    const there = bytes.length - at;
    this.#wanted = HEAD;
    if (there < HEAD) return 0;
    const isSection = bytes.readUInt32LE(at) === BLOCK.section;
    if (isSection) {
      this.#wanted = SECTION_HEAD;
      if (there < SECTION_HEAD) return 0;
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
    this.#wanted = length;
    if (there < length) return 0;
    if (u32(bytes, at + length - 4, order) !== length)
      return 'has a block whose two lengths differ';
    return length;
  }

  #block(bytes: Buffer, from: number, to: number): PcapngBlock {
    const order = this.#order ?? 'little';
    return new Block(u32(bytes, from, order), order, bytes.subarray(from, to));
  }

  #hold(rest: Buffer, wanted: number): void {
    // A copy: the chunk is the caller's.
    this.#parts = rest.length === 0 ? [] : [Buffer.from(rest)];
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

export type SplitRun = readonly [fitting: PacketRun | undefined, rest: PacketRun | undefined];

/** The packets of a run that fit into `room` bytes, `least` of them in any case, and those that do not. */
export function splitRun(run: PacketRun, room: number, least: number): SplitRun {
  const { bytes, packets, order } = run;
  if (bytes.length <= room) return [run, undefined];
  let [at, fitting] = [0, 0];
  while (at < bytes.length) {
    const end = at + u32(bytes, at + 4, order);
    if (end > room && fitting >= least) break;
    at = end;
    fitting += 1;
  }
  return [
    fitting > 0 ? runOf(bytes.subarray(0, at), fitting, order) : undefined,
    fitting < packets ? runOf(bytes.subarray(at), packets - fitting, order) : undefined,
  ];
}

function runOf(bytes: Buffer, packets: number, order: ByteOrder): PacketRun {
  return { ok: true, type: 'packets', packets, order, bytes };
}

function isPacketType(type: number): boolean {
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
