/** A TCP connection's way that can be cut, as a partition does it: silence, no reset. */

import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Scope } from './scope.js';

export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #isCut = false;
  /** `host:port` that connections are led to from now on. */
  target: string;

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.target = target;
  }

  static async start(scope: Scope, target: string): Promise<TcpProxy> {
    const server = createServer((socket) => proxy.#accept(socket));
    const proxy = new TcpProxy(server, target);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await scope.defer(`proxy to ${target}`, () => proxy.#close());
    return proxy;
  }

  /** `127.0.0.1:port` */
  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP port');
    return `127.0.0.1:${address.port}`;
  }

  /** Nothing passes in either direction, and nobody is told. */
  cut(): void {
    this.#isCut = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** What waited passes. */
  mend(): void {
    this.#isCut = false;
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  /** Ends all connections; new ones are led to the target. */
  reset(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  #accept(near: Socket): void {
    const [host = '', port = ''] = this.target.split(':');
    const far = connect(Number(port), host);
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes) => to.write(bytes));
      from.on('error', end);
      from.on('close', end);
      if (this.#isCut) from.pause();
    }
  }

  async #close(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
