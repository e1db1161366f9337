/** A capture of no real packets: a socket that gives what the test sends, in the manner of the datapath. */

import { createServer, type Server, type Socket } from 'node:net';
import type { CaptureSpec, CaptureStatus } from '../../src/datapath/seam.js';
import { PcapngForge } from './pcapngForge.js';

/** waiting -> running -> over. */
export class FakeCapture {
  readonly spec: CaptureSpec;
  /** The one interface of what it gives. */
  readonly forge = new PcapngForge();
  /** What the statistics will say. */
  lost = 0;
  readonly #id: number;
  readonly #server: Server;
  #reader: Socket | undefined;
  #packets = 0;
  #bytes = 0;
  #over = false;

  constructor(id: number, spec: CaptureSpec) {
    this.spec = spec;
    this.#id = id;
    this.#server = createServer({ allowHalfOpen: true }, (reader) => this.#begin(reader));
    this.#server.listen(spec.socket);
    this.#server.unref();
  }

  get live(): boolean {
    return !this.#over;
  }

  get status(): CaptureStatus {
    return {
      id: this.#id,
      state: this.#reader === undefined ? 'waiting' : 'running',
      compiler: this.spec.filter === undefined ? 'none' : 'libpcap',
      ...{ packets: this.#packets, lost: this.lost, bytes: this.#bytes },
    };
  }

  /** Packets of that many bytes each; false while the reader does not take them. */
  send(...sizes: readonly number[]): boolean {
    if (this.#reader === undefined) throw new Error('nobody reads');
    const frames = sizes.map((size) => this.forge.packet(0, Buffer.alloc(size, 0x5a)));
    this.#packets += frames.length;
    const bytes = Buffer.concat(frames);
    this.#bytes += bytes.length;
    const isTaken = this.#reader.write(bytes);
    if (this.#packets >= (this.spec.maxPackets ?? Number.POSITIVE_INFINITY)) this.finish();
    return isTaken;
  }

  /** Any bytes. */
  sendRaw(bytes: Uint8Array): void {
    this.#reader?.write(bytes);
  }

  /** As a capture ends: the statistics, and no more. */
  finish(): void {
    if (this.#over) return;
    const { lost } = this;
    this.#reader?.end(this.forge.statistics(0, { received: this.#packets + lost, lost }));
    this.#stop();
  }

  /** As a daemon dies. */
  break(): void {
    this.#reader?.destroy();
    this.#stop();
  }

  #begin(reader: Socket): void {
    this.#server.close();
    this.#reader = reader;
    reader.on('error', () => {});
    reader.on('end', () => this.finish());
    reader.on('close', () => this.#stop());
    reader.resume();
    reader.write(Buffer.concat([this.forge.section(), this.forge.interface('net1/c1')]));
  }

  #stop(): void {
    this.#over = true;
    this.#server.close();
  }
}
