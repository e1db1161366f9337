/**
 * The part of Consul's HTTP API that a store uses, as its documentation describes it, for tests that
 * cannot wait until a real agent is built: /v1/kv, /v1/txn, /v1/session and /v1/status/leader. It can do
 * what a real one does only after accidents: lose its leader, go back to an earlier index.
 */

import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import type { Scope } from './scope.js';

interface Row {
  readonly Key: string;
  readonly Value: string;
  readonly Session?: string;
  readonly ModifyIndex: number;
}

interface Session {
  readonly ttlMs: number;
  timer: NodeJS.Timeout;
}

interface Operation {
  readonly KV: Partial<Row> & {
    readonly Verb: string;
    readonly Key: string;
    readonly Index?: number;
  };
}

interface Reply {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const STANDSTILL_MS = 60_000;

export class ConsulStandIn {
  /** What it answers to `status/leader`. */
  leader = '127.0.0.1:8300';
  /** Whoever has another token, or none, is refused. */
  token: string | undefined;
  #index = 10;
  #rows: ReadonlyMap<string, Row> = new Map();
  readonly #sessions = new Map<string, Session>();
  readonly #changed = new EventEmitter().setMaxListeners(0);
  readonly #server: Server;

  private constructor(tls: ServerOptions | undefined) {
    const answer = async (request: IncomingMessage): Promise<Reply> => {
      try {
        return await this.#answer(request);
      } catch (error) {
        return { status: 400, body: String(error) };
      }
    };
    const listener: Parameters<typeof createServer>[1] = async (request, response) => {
      const { status = 200, body, headers = {} } = await answer(request);
      const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
      const type = isRaw ? 'text/plain' : 'application/json';
      response.writeHead(status, { 'content-type': type, ...headers });
      response.end(isRaw ? body : JSON.stringify(body));
    };
    this.#server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  }

  static async start(scope: Scope, tls?: ServerOptions): Promise<ConsulStandIn> {
    const standIn = new ConsulStandIn(tls);
    standIn.#server.listen(0, '127.0.0.1');
    await once(standIn.#server, 'listening');
    await scope.defer('Consul stand-in', () => {
      standIn.#server.close();
      standIn.#server.closeAllConnections();
      for (const { timer } of standIn.#sessions.values()) clearTimeout(timer);
    });
    return standIn;
  }

  get address(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('it does not listen');
    return `127.0.0.1:${address.port}`;
  }

  /** Reads that wait for a change. */
  get waiting(): number {
    return this.#changed.listenerCount('change');
  }

  /** As after a restore from a backup: an earlier index, and nothing there. */
  forget(): void {
    this.#index = 5;
    this.#rows = new Map();
    this.#changed.emit('change');
  }

  async #answer(request: IncomingMessage): Promise<Reply> {
    const url = new URL(request.url ?? '/', 'http://stand-in');
    const [, , kind = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const name = rest.join('/');
    const body = await buffer(request);
    if (this.token !== undefined && request.headers['x-consul-token'] !== this.token) {
      return { status: 403, body: 'ACL not found' };
    }
    if (kind === 'status') {
      const headers = { 'content-type': 'application/json' };
      return { headers, body: JSON.stringify(this.leader) };
    }
    if (this.leader === '') return { status: 500, body: 'No cluster leader' };
    if (kind === 'session') return this.#session(rest, body.toString());
    if (kind === 'txn') return this.#transact(JSON.parse(body.toString()));
    if (kind !== 'kv') return { status: 404 };
    if (request.method === 'GET') return await this.#read(name, url.searchParams);
    return this.#transact([{ KV: { Verb: 'set', Key: name, Value: body.toString('base64') } }]);
  }

  async #read(key: string, query: URLSearchParams): Promise<Reply> {
    const isWanted = (row: Row) =>
      query.has('recurse') ? row.Key.startsWith(key) : row.Key === key;
    const wanted = () => [...this.#rows.values()].filter(isWanted);
    const [asked, wait] = [
      Number(query.get('index')),
      Number.parseInt(query.get('wait') ?? '', 10),
    ];
    if (asked > 0 && asked === this.#index) {
      const late = new AbortController();
      const limit = wait > 0 ? wait * 1000 : STANDSTILL_MS;
      await Promise.race([
        once(this.#changed, 'change', { signal: late.signal }),
        delay(limit, undefined, { signal: late.signal, ref: false }),
      ]);
      late.abort();
    }
    const rows = wanted();
    const headers = { 'x-consul-index': String(this.#index) };
    if (rows.length === 0) return { status: 404, headers, body: '' };
    if (query.has('raw')) return { headers, body: Buffer.from(rows[0]?.Value ?? '', 'base64') };
    return { headers, body: rows };
  }

  #transact(operations: readonly Operation[]): Reply {
    const before = this.#rows;
    const rows = new Map(before);
    const index = this.#index + 1;
    const errors = operations.flatMap(({ KV }, at) => {
      const what = this.#apply(rows, KV, index);
      return what === undefined ? [] : [{ OpIndex: at, What: what }];
    });
    if (errors.length > 0) return { status: 409, body: { Results: null, Errors: errors } };
    this.#rows = rows;
    this.#index = index;
    this.#changed.emit('change');
    return { body: { Results: [], Errors: null } };
  }

  /** Gives what is wrong. */
  #apply(rows: Map<string, Row>, operation: Operation['KV'], index: number): string | undefined {
    const { Verb: verb, Key, Index, Value = '', Session: session } = operation;
    const row = rows.get(Key);
    switch (verb) {
      case 'check-not-exists':
        return row && `key "${Key}" exists`;
      case 'check-index':
        return row?.ModifyIndex === Index ? undefined : `failed index check for key "${Key}"`;
      case 'delete':
        rows.delete(Key);
        return undefined;
      case 'set':
        // The same again is no change.
        if (row?.Value !== Value) rows.set(Key, { ...row, Key, Value, ModifyIndex: index });
        return undefined;
      case 'lock':
        if (session === undefined || !this.#sessions.has(session)) {
          return `invalid session "${session}"`;
        }
        if (row?.Session !== undefined && row.Session !== session) {
          return `failed to lock key "${Key}", lock is already held`;
        }
        rows.set(Key, { Key, Value, Session: session, ModifyIndex: index });
        return undefined;
      default:
        return `unknown verb ${verb}`;
    }
  }

  #session([verb, id = '']: readonly string[], body: string): Reply {
    const known = this.#sessions.get(id);
    if (verb === 'create') {
      const { TTL, Behavior, LockDelay, Checks } = JSON.parse(body);
      // A session of another kind would keep its keys, or lock them for a while, or die with a node.
      if (Behavior !== 'delete' || LockDelay !== '0s' || Checks.length > 0) return { status: 400 };
      const ID = randomUUID();
      const ttlMs = Number.parseInt(TTL, 10) * 1000;
      this.#sessions.set(ID, { ttlMs, timer: this.#expiry(ID, ttlMs) });
      return { body: { ID } };
    }
    if (known === undefined) {
      return verb === 'destroy'
        ? { body: true }
        : { status: 404, body: `Session id '${id}' not found` };
    }
    clearTimeout(known.timer);
    if (verb === 'renew') known.timer = this.#expiry(id, known.ttlMs);
    else this.#end(id);
    return { body: verb === 'renew' ? [{ ID: id }] : true };
  }

  #expiry(id: string, ttlMs: number): NodeJS.Timeout {
    return setTimeout(() => this.#end(id), ttlMs);
  }

  #end(id: string): void {
    this.#sessions.delete(id);
    const held = [...this.#rows.values()].filter(({ Session: holder }) => holder === id);
    if (held.length > 0) this.#transact(held.map(({ Key }) => ({ KV: { Verb: 'delete', Key } })));
  }
}
