// The control API's client: one method for each route. The CLI reaches the daemon only through this.

import { Client } from 'undici';
import { SwitchError } from '../model/error.js';
import type { CaptureBody, CaptureView, CapturingView } from './captureApi.js';
import type { HistoryView } from './historyApi.js';
import type {
  AddFdbBody,
  AddNetworkBody,
  AddPortBody,
  FlushBody,
  ReplaceFdbBody,
} from './requests.js';
import type { TraceBody, TraceView } from './traceApi.js';
import type * as view from './views.js';

export type { CaptureBody, CaptureView, CapturingView } from './captureApi.js';
export { CaptureChunks } from './captureSocket.js';
export { errorBody } from './errorBody.js';
export type { HistoryView } from './historyApi.js';
export type { TraceBody, TraceView } from './traceApi.js';
export type * from './views.js';
export type { AddFdbBody, AddNetworkBody, AddPortBody, FlushBody, ReplaceFdbBody };

/** An answer that is a refusal: what the daemon said, word for word. */
export class Refused extends Error {
  readonly body: view.ErrorView;

  constructor(body: view.ErrorView) {
    super(body.message);
    this.name = 'Refused';
    this.body = body;
  }
}

export interface ControlClientOptions {
  /** Path of the control socket. */
  readonly socket: string;
  /** Ends what is asked: it rejects with the reason. */
  readonly signal: AbortSignal;
  /** Most milliseconds that an answer may take; by default what a living daemon surely manages. */
  readonly patience?: Patience | undefined;
}

export interface Patience {
  readonly usual: number;
  /** Of what opens or removes any number of devices. */
  readonly long: number;
}

/**
 * One connection to one daemon. Methods reject with `Refused` when the daemon refuses, and with
 * `SwitchError` (NO_DAEMON, SOCKET_DENIED, NO_ANSWER) when it cannot be reached. `close` it when
 * done.
 */
export class ControlClient {
  readonly #socket: string;
  readonly #signal: AbortSignal;
  readonly #patience: Patience;
  readonly #http: Client;

  constructor({ socket, signal, patience = PATIENCE }: ControlClientOptions) {
    this.#socket = socket;
    this.#signal = signal;
    this.#patience = patience;
    this.#http = new Client('http://vswitchd', { socketPath: socket });
  }

  status = () => this.#ask<view.StatusView>('GET', '/v1/status');
  doctor = () => this.#ask<view.DoctorView>('GET', '/v1/doctor');
  counters = () => this.#ask<view.CountersView>('GET', '/v1/counters');
  drops = () => this.#ask<view.DropView[]>('GET', '/v1/drops');
  purge = () => this.#ask<view.PurgeView>('POST', '/v1/purge', { wait: 'long' });
  reload = () => this.#ask<view.ReloadView>('POST', '/v1/reload', { wait: 'long' });
  networks = () => this.#ask<view.NetworkView[]>('GET', '/v1/networks');
  hosts = () => this.#ask<view.HostView[]>('GET', '/v1/hosts');
  ports = () => this.#ask<view.PortView[]>('GET', '/v1/ports');

  network(name: string): Promise<view.NetworkView> {
    return this.#ask('GET', `/v1/networks/${part(name)}`);
  }

  addNetwork(body: AddNetworkBody): Promise<view.NetworkView> {
    return this.#ask('POST', '/v1/networks', { body, wait: 'long' });
  }

  removeNetwork(name: string): Promise<view.RemovedView> {
    return this.#ask('DELETE', `/v1/networks/${part(name)}`, { wait: 'long' });
  }

  addPort(network: string, body: AddPortBody): Promise<view.PortView> {
    return this.#ask('POST', `/v1/networks/${part(network)}/ports`, { body, wait: 'long' });
  }

  removePort(name: string): Promise<view.RemovedView> {
    return this.#ask('DELETE', `/v1/ports/${part(name)}`);
  }

  /** `peer` is `ADDR`, `ADDR:PORT` or `[V6]:PORT`. */
  addPeer(network: string, peer: string): Promise<view.NetworkView> {
    return this.#ask('POST', `/v1/networks/${part(network)}/peers`, { body: peer });
  }

  removePeer(network: string, peer: string): Promise<view.NetworkView> {
    return this.#ask('DELETE', `/v1/networks/${part(network)}/peers/${part(peer)}`);
  }

  removeHost(address: string): Promise<view.HostView[]> {
    return this.#ask('DELETE', `/v1/hosts/${part(address)}`);
  }

  endpoints(network?: string): Promise<view.EndpointView[]> {
    return this.#ask('GET', `/v1/endpoints${inNetwork(network)}`);
  }

  neighbors(network?: string): Promise<view.NeighborView[]> {
    return this.#ask('GET', `/v1/neighbors${inNetwork(network)}`);
  }

  fdb(network?: string): Promise<view.FdbView[]> {
    return this.#ask('GET', `/v1/fdb${inNetwork(network)}`);
  }

  addFdb(network: string, body: AddFdbBody): Promise<view.FdbView[]> {
    return this.#ask('POST', `/v1/networks/${part(network)}/fdb`, { body });
  }

  replaceFdb(network: string, mac: string, body: ReplaceFdbBody): Promise<view.FdbView[]> {
    return this.#ask('PUT', `/v1/networks/${part(network)}/fdb/${part(mac)}`, { body });
  }

  removeFdb(network: string, mac: string): Promise<view.FdbView[]> {
    return this.#ask('DELETE', `/v1/networks/${part(network)}/fdb/${part(mac)}`);
  }

  flushFdb(body: FlushBody): Promise<view.FlushView> {
    return this.#ask('POST', '/v1/fdb/flush', { body });
  }

  captures = () => this.#ask<CaptureView[]>('GET', '/v1/captures');

  /** Then pcapng comes to whoever connects to the answer's socket, within ten seconds. */
  capture(body: CaptureBody): Promise<CapturingView> {
    return this.#ask('POST', '/v1/captures', { body });
  }

  endCapture(id: number): Promise<CaptureView[]> {
    return this.#ask('DELETE', `/v1/captures/${id}`);
  }

  trace(network: string, body: TraceBody): Promise<TraceView> {
    return this.#ask('POST', `/v1/networks/${part(network)}/trace`, { body });
  }

  history(query: Readonly<Record<string, string>>): Promise<HistoryView> {
    return this.#ask('GET', `/v1/history?${new URLSearchParams(query)}`);
  }

  /** `at` is a time as `Date.parse` reads it. */
  pastFdb(query: Readonly<Record<string, string>>): Promise<view.FdbView[]> {
    return this.#ask('GET', `/v1/fdb/past?${new URLSearchParams(query)}`);
  }

  /** Does not wait for what is still asked. */
  close(): Promise<void> {
    return this.#http.destroy();
  }

  async #ask<T>(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    { body, wait = 'usual' }: { readonly body?: unknown; readonly wait?: keyof Patience } = {},
  ): Promise<T> {
    const sent =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const late = AbortSignal.timeout(this.#patience[wait]);
    const signal = AbortSignal.any([this.#signal, late]);
    let status: number;
    let answer: unknown;
    try {
      const response = await this.#http.request({ method, path, signal, ...sent });
      status = response.statusCode;
      answer = await response.body.json();
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      if (late.aborted) throw new SwitchError('NO_ANSWER', this.#socket);
      throw unreachable(this.#socket, error);
    }
    if (status >= 400) throw new Refused(answer as view.ErrorView);
    return answer as T;
  }
}

function inNetwork(name: string | undefined): string {
  return name === undefined ? '' : `?network=${part(name)}`;
}

function part(text: string): string {
  return encodeURIComponent(text);
}

function unreachable(socket: string, error: unknown): SwitchError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return new SwitchError('SOCKET_DENIED', socket);
  const plain = code === 'ENOENT' || code === 'ECONNREFUSED';
  return new SwitchError('NO_DAEMON', socket, plain ? {} : { detail: message });
}

const PATIENCE: Patience = { usual: 10_000, long: 60_000 };
