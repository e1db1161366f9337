// Where a capture is read: the unix socket that the daemon names when one begins.

import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect, type OnReadOpts, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { SwitchError } from '../model/error.js';

/** What comes of a capture, into memory that is used again: each chunk is good until the next one is asked for. */
export class CaptureChunks implements AsyncIterable<Uint8Array> {
  readonly #socket: Socket;
  readonly #inbox: Inbox;

  private constructor(socket: Socket, inbox: Inbox) {
    this.#socket = socket;
    this.#inbox = inbox;
    // A connection that breaks is one that ends.
    socket.on('error', () => {});
    for (const event of ['end', 'close']) socket.on(event, () => inbox.wake());
  }

  /** As `connectToCapture`. */
  static async open(path: string): Promise<CaptureChunks> {
    const inbox: Inbox = { chunk: undefined, wake: () => {} };
    const callback = (length: number, buffer: Uint8Array) => {
      inbox.chunk = buffer.subarray(0, length);
      inbox.wake();
      // Nothing more is read before it is resumed.
      return false;
    };
    const buffer = Buffer.allocUnsafeSlow(CHUNK);
    return new CaptureChunks(await connectToCapture(path, { buffer, callback }), inbox);
  }

  /** Ends the capture: what it has and the statistics still come. Any number of times. */
  finish(): void {
    this.#socket.end();
  }

  /** Nothing comes any more. */
  destroy(): void {
    this.#socket.destroy();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    const inbox = this.#inbox;
    for (;;) {
      if (inbox.chunk !== undefined) {
        yield inbox.chunk;
        inbox.chunk = undefined;
        this.#socket.resume();
      } else if (this.#socket.readableEnded || this.#socket.destroyed) {
        return;
      } else {
        await new Promise<void>((wake) => {
          inbox.wake = wake;
        });
      }
    }
  }
}

/** What has come and is not taken yet, and how to tell whoever waits for it. */
interface Inbox {
  chunk: Uint8Array | undefined;
  wake: () => void;
}

/**
 * The one reader of a capture. Ending our side of the stream ends the capture: what it has and the statistics
 * still come. With `onread` nothing comes of the stream itself. Throws SOCKET_DENIED, NO_DAEMON.
 */
export async function connectToCapture(path: string, onread?: OnReadOpts): Promise<Socket> {
  // Through its open directory, because the path may be longer than sockaddr_un.
  const directory = await open(dirname(path)).catch((error) => {
    throw unreachable(path, error);
  });
  try {
    const stream = connect({
      path: `/proc/self/fd/${directory.fd}/${basename(path)}`,
      ...(onread && { onread }),
    });
    await once(stream, 'connect').catch((error) => {
      throw unreachable(path, error);
    });
    return stream;
  } finally {
    await directory.close();
  }
}

function unreachable(path: string, error: NodeJS.ErrnoException): SwitchError {
  const code = error.code === 'EACCES' || error.code === 'EPERM' ? 'SOCKET_DENIED' : 'NO_DAEMON';
  return new SwitchError(code, path, { detail: error.message });
}

/** Bytes that are read at once. */
const CHUNK = 1024 * 1024;
