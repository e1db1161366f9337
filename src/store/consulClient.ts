// The `consul` package as we use it: every request ends in time and can be cancelled, answers come with
// status and headers, and errors are SwitchErrors.

import { lookup } from 'node:dns';
import { EventEmitter } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type LookupFunction, Socket } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import Consul from 'consul';
import { SwitchError } from '../model/error.js';
import { STORE_PATIENCE_MS } from './store.js';
import { isUntrusted, type StoreAccess } from './storeAccess.js';

/** What the package takes beside a request's own options. */
export interface Common {
  readonly ctx: EventEmitter;
  /** Milliseconds. */
  readonly timeout: number;
}

type Send = (options: Options) => Promise<unknown>;

/** Those of the request beside what all have. */
interface Options extends Common {
  readonly [option: string]: unknown;
}

/** What we use of the package. Its own types lack options, and know another form of transactions. */
export interface ConsulApi {
  readonly kv: { readonly get: Send };
  readonly session: { readonly create: Send; readonly renew: Send; readonly destroy: Send };
  readonly status: { readonly leader: Send };
  readonly transaction: {
    create(operations: readonly object[], options: Common): Promise<unknown>;
  };
  destroy(): void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** JSON is decoded; absent where there is none. */
  readonly body: unknown;
}

interface Limits {
  /** Milliseconds; otherwise the patience that every call has. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** A refusal with this HTTP status is an answer too. */
  readonly accept?: number;
}

/** The package's answers, and the errors that it rejects with. */
type Response = IncomingMessage & { readonly statusCode: number; readonly body?: unknown };
type Failure = Error & { readonly code?: string; readonly response?: Response };

/** One agent of Consul. */
export class ConsulClient {
  readonly #consul: ConsulApi;
  readonly #name: string;
  readonly #closing = new AbortController();
  readonly #connections = new Set<Socket>();
  /** Of the connections that have ended. */
  readonly #ended = { sent: 0, received: 0 };

  constructor({ name, addresses, token, tls }: StoreAccess) {
    this.#name = name;
    const { hostname, port } = new URL(`http://${addresses[0]}`);
    const kept = { keepAlive: true };
    const identity: typeof checkServerIdentity = (host, certificate) =>
      checkServerIdentity(bare(host), certificate);
    const options = {
      host: hostname,
      port: Number(port),
      secure: tls !== undefined,
      defaults: { ...(token !== undefined && { token }) },
      agent: this.#counted(
        tls
          ? new HttpsAgent({ ...kept, ...tls, checkServerIdentity: identity })
          : new HttpAgent(kept),
      ),
      lookup: lookupBare,
    };
    const consul: unknown = new Consul(options);
    this.#consul = consul as ConsulApi;
  }

  /** Throws SwitchErrors. */
  async request(
    send: (consul: ConsulApi, common: Common) => Promise<unknown>,
    { timeout = STORE_PATIENCE_MS, signal, accept }: Limits = {},
  ): Promise<Answer> {
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    const end = AbortSignal.any([this.#closing.signal, ...(signal ? [signal] : [])]);
    const cancel = () => ctx.emit('cancel');
    end.addEventListener('abort', cancel);
    try {
      if (end.aborted) throw new Error('it is closed');
      const [response] = (await send(this.#consul, { ctx, timeout })) as [Response];
      return answerOf(response);
    } catch (error) {
      const { response } = error as Failure;
      if (response !== undefined && response.statusCode === accept) return answerOf(response);
      throw errorOf(this.#name, error as Failure);
    } finally {
      end.removeEventListener('abort', cancel);
    }
  }

  traffic() {
    const sum = { ...this.#ended };
    for (const connection of this.#connections) add(sum, connection);
    return sum;
  }

  close(): void {
    this.#closing.abort();
    this.#consul.destroy();
  }

  /** The agent, whose connections are counted. */
  #counted<A extends HttpAgent>(agent: A): A {
    const connect: A['createConnection'] = agent.createConnection.bind(agent);
    agent.createConnection = (options, callback) => {
      const connection = connect(options, callback);
      if (connection instanceof Socket) {
        this.#connections.add(connection);
        connection.once('close', () => {
          this.#connections.delete(connection);
          add(this.#ended, connection);
        });
      }
      return connection;
    };
    return agent;
  }
}

function answerOf({ statusCode, headers, body }: Response): Answer {
  return { status: statusCode, headers, body };
}

function add(sum: { sent: number; received: number }, connection: Socket): void {
  sum.sent += connection.bytesWritten;
  sum.received += connection.bytesRead;
}

function errorOf(store: string, { message, code, response }: Failure): SwitchError {
  const detail = typeof response?.body === 'string' ? response.body : message;
  if (response === undefined) {
    const kind = isUntrusted(`${code} ${message}`) ? 'STORE_DENIED' : 'STORE_DOWN';
    return new SwitchError(kind, store, { detail });
  }
  const { statusCode } = response;
  if (statusCode === 401 || statusCode === 403)
    return new SwitchError('STORE_DENIED', store, { detail });
  // 429 asks for patience; 5xx is no leader, or servers that cannot be reached.
  const isRefusal = statusCode < 500 && statusCode !== 429;
  return new SwitchError(isRefusal ? 'STORE_REFUSED' : 'STORE_DOWN', store, { detail });
}

/** The package hands an IPv6 host on in its brackets. */
function bare(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1');
}

const lookupBare: LookupFunction = (host, options, callback) =>
  lookup(bare(host), options, callback);
