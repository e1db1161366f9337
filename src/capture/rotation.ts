// Files that follow each other, each a capture by itself: it begins with the section header and with all interfaces so
// far, so that the numbers of the interfaces stay what they are.

import { rm } from 'node:fs/promises';
import { join, parse } from 'node:path';
import { BlockFile, type BlockTarget, unwritable } from './blockTarget.js';
import {
  BLOCK,
  type PacketRun,
  type PcapngBlock,
  type PcapngRun,
  type SplitRun,
  splitRun,
} from './pcapngBlocks.js';

export interface Rotation {
  /** Bytes that a file has at most, unless one packet alone needs more. */
  readonly size: number;
  /** How many files are kept, the newest; absent = all. */
  readonly files?: number | undefined;
}

/** `NAME_00001.pcapng`, `NAME_00002.pcapng` and so on for the path `NAME.pcapng`. */
export class RotatingFiles implements BlockTarget {
  readonly #path: string;
  readonly #rotation: Rotation;
  readonly #kept: string[] = [];
  #made = 0;
  #file: BlockFile | undefined;
  /** Of the file that is written. */
  #hasPackets = false;
  /** With what every file begins. */
  #head: Buffer[] = [];

  constructor(path: string, rotation: Rotation) {
    this.#path = path;
    this.#rotation = rotation;
  }

  get files(): readonly string[] {
    return this.#kept;
  }

  async write(runs: readonly PcapngRun[]): Promise<boolean> {
    for (const run of runs) {
      const file = this.#file ?? (await this.#next());
      if (run.type === 'packets') {
        await this.#writePackets(run);
      } else {
        this.#remember(run);
        await file.write([run]);
      }
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async #writePackets(run: PacketRun): Promise<void> {
    for (let left: PacketRun | undefined = run; left !== undefined; ) {
      const file = this.#file ?? (await this.#next());
      const room = this.#rotation.size - file.size;
      const [fitting, rest]: SplitRun = splitRun(left, room, this.#hasPackets ? 0 : 1);
      if (fitting !== undefined) {
        await file.write([fitting]);
        this.#hasPackets = true;
      }
      if (rest !== undefined) await this.#next();
      left = rest;
    }
  }

  async #next(): Promise<BlockFile> {
    await this.#file?.close();
    this.#made += 1;
    const { dir, name, ext } = parse(this.#path);
    const number = `${this.#made}`.padStart(5, '0');
    const path = join(dir, `${name}_${number}${ext || '.pcapng'}`);
    const file = await BlockFile.open(path);
    this.#file = file;
    this.#hasPackets = false;
    this.#kept.push(path);
    await this.#forgetOldest();
    await file.append(Buffer.concat(this.#head));
    return file;
  }

  async #forgetOldest(): Promise<void> {
    const { files = Number.POSITIVE_INFINITY } = this.#rotation;
    if (this.#kept.length <= files) return;
    const oldest = this.#kept.shift() ?? '';
    try {
      await rm(oldest, { force: true });
    } catch (error) {
      throw unwritable(oldest, error);
    }
  }

  #remember(block: PcapngBlock): void {
    if (block.type === BLOCK.section) this.#head = [];
    else if (block.type !== BLOCK.interface) return;
    // A copy: the view would keep all that was read with it.
    this.#head.push(Buffer.from(block.bytes));
  }
}
