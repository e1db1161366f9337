// Where the blocks of a capture go: a file, a pipe, or files that follow each other (rotation.ts). What fails is told
// as SwitchError CAPTURE_UNWRITABLE; nobody reading any more is no failure.

import { close, constants, fstat, ftruncate, open, write } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SwitchError } from '../model/error.js';
import type { PcapngRun } from './pcapngBlocks.js';

/** open -> closed. One call at a time: who gives blocks waits for the answer, and so holds back the source. */
export interface BlockTarget {
  /** Written as soon as they come, in whole blocks; their bytes are good until then. Resolves to false when nobody reads any more. */
  write(runs: readonly PcapngRun[]): Promise<boolean>;
  /** Any number of times. */
  close(): Promise<void>;
  /** Paths of what is kept, the oldest first. */
  readonly files: readonly string[];
}

/** A new file, for its owner alone, or one that is emptied, or a pipe or device that is there. */
export async function openTarget(path: string): Promise<BlockTarget> {
  const there = await stat(path).catch(() => undefined);
  return there?.isFIFO() ? await openPipe(path) : await BlockFile.open(path);
}

/** Standard output, which stays open. `fd` is there where it is a file, as with `process.stdout`. */
export function targetOfOutput(stream: Writable & { readonly fd?: number }): BlockTarget {
  return stream.fd === undefined || stream instanceof Socket
    ? new BlockStream(OUTPUT, stream, false)
    : BlockFile.ofOutput(stream.fd);
}

/** A file, or a device, of which nothing is held in memory. */
export class BlockFile implements BlockTarget {
  readonly #path: string;
  readonly #fd: number;
  readonly #isOurs: boolean;
  #size = 0;
  #closed = false;

  private constructor(path: string, fd: number, isOurs: boolean) {
    this.#path = path;
    this.#fd = fd;
    this.#isOurs = isOurs;
  }

  static async open(path: string): Promise<BlockFile> {
    try {
      // What containers say to each other is no business of others.
      return new BlockFile(path, await calls.open(path, 'w', 0o600), true);
    } catch (error) {
      throw unwritable(path, error);
    }
  }

  static ofOutput(fd: number): BlockFile {
    return new BlockFile(OUTPUT, fd, false);
  }

  get files(): readonly string[] {
    return this.#isOurs ? [this.#path] : [];
  }

  /** Bytes written to it. */
  get size(): number {
    return this.#size;
  }

  async write(runs: readonly PcapngRun[]): Promise<boolean> {
    await this.append(together(runs));
    return true;
  }

  /** All of it, or nothing and CAPTURE_UNWRITABLE. */
  async append(bytes: Buffer): Promise<void> {
    let written = 0;
    try {
      while (written < bytes.length) {
        const more = await calls.write(this.#fd, bytes, written, bytes.length - written, null);
        written += more.bytesWritten;
      }
    } catch (error) {
      await this.#takeBack(written);
      throw unwritable(this.#path, error);
    }
    this.#size += bytes.length;
  }

  async close(): Promise<void> {
    if (this.#closed || !this.#isOurs) return;
    this.#closed = true;
    try {
      await calls.close(this.#fd);
    } catch (error) {
      throw unwritable(this.#path, error);
    }
  }

  /** The last bytes go again, so that the file does not end within a block. */
  async #takeBack(written: number): Promise<void> {
    const there = await calls.fstat(this.#fd);
    if (there.isFile()) await calls.ftruncate(this.#fd, there.size - written).catch(() => {});
  }
}

/** A pipe or socket that others read. It is never waited for in a system call: signals still end us. */
export class BlockStream implements BlockTarget {
  readonly files: readonly string[] = [];
  readonly #name: string;
  readonly #stream: Writable;
  readonly #isOurs: boolean;

  /** `isOurs`: it is closed at the end. */
  constructor(name: string, stream: Writable, isOurs: boolean) {
    this.#name = name;
    this.#stream = stream;
    this.#isOurs = isOurs;
    // Each write tells its failure itself.
    stream.on('error', () => {});
  }

  async write(runs: readonly PcapngRun[]): Promise<boolean> {
    try {
      // A copy: a stream may keep what it was given for longer than the write takes.
      const bytes = Buffer.concat(runs.map(({ bytes }) => bytes));
      await new Promise<void>((done, failed) => {
        this.#stream.write(bytes, (error) => (error ? failed(error) : done()));
      });
      return true;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (NOBODY_READS.has(code)) return false;
      throw unwritable(this.#name, error);
    }
  }

  async close(): Promise<void> {
    if (!this.#isOurs || this.#stream.destroyed) return;
    await new Promise<void>((closed) => {
      this.#stream.once('close', closed);
      this.#stream.end(() => this.#stream.destroy());
    });
  }
}

/** Waits for who reads it, for ten seconds. */
async function openPipe(path: string): Promise<BlockStream> {
  for (let waits = READER_WAITS; ; waits -= 1) {
    try {
      const fd = await calls.open(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return new BlockStream(path, new Socket({ fd, readable: false, writable: true }), true);
    } catch (error) {
      const isEarly = (error as NodeJS.ErrnoException).code === 'ENXIO';
      if (!isEarly || waits === 0) throw unwritable(path, error);
      await sleep(READER_WAIT_MS);
    }
  }
}

/** Blocks of one chunk lie behind each other: no copy. */
function together(runs: readonly PcapngRun[]): Buffer {
  const [first, last] = [runs[0]?.bytes, runs.at(-1)?.bytes];
  const size = runs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (first && last && first.buffer === last.buffer) {
    const from = first.byteOffset;
    if (last.byteOffset + last.length - from === size) return Buffer.from(first.buffer, from, size);
  }
  return Buffer.concat(runs.map(({ bytes }) => bytes));
}

/** CAPTURE_UNWRITABLE, of what a system call said. */
export function unwritable(path: string, error: unknown): SwitchError {
  const { syscall, errno, message } = error as NodeJS.ErrnoException;
  return new SwitchError('CAPTURE_UNWRITABLE', path, {
    ...(errno === undefined ? { detail: message } : { syscall, errno: Math.abs(errno) }),
  });
}

/** On descriptors, not FileHandles, because a socket closes its own. */
const calls = {
  open: promisify(open),
  write: promisify(write),
  fstat: promisify(fstat),
  ftruncate: promisify(ftruncate),
  close: promisify(close),
};
const OUTPUT = 'standard output';
const NOBODY_READS = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);
const READER_WAITS = 200;
const READER_WAIT_MS = 50;
