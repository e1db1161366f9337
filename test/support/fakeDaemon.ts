/** A whole daemon on a fake host, in a folder of its own; the CLI runs against its real socket. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { runControl } from '../../src/cli/main.js';
import { type Daemon, type DaemonOptions, startDaemon } from '../../src/daemon/daemon.js';
import { Datapath } from '../../src/datapath/datapath.js';
import { FakeHost } from './fakeDatapath.js';
import { BARE_MACHINE } from './fakeMachine.js';

export interface ControlResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Until the store knows the host; a store that is away never does. */
async function registered({ operations }: Daemon): Promise<void> {
  const deadline = performance.now() + 5_000;
  const isKnown = () => operations.hosts().some((host) => host.self && host.state === 'live');
  while (!isKnown() && operations.status().store.state === 'connected') {
    if (performance.now() > deadline) throw new Error('the store does not know this host');
    await setImmediate();
  }
}

/** created -> started -> stopped, and started again; the folder goes with the test. */
export class FakeDaemon {
  readonly host: FakeHost;
  readonly folder: string;
  readonly log: Record<string, unknown>[] = [];
  #daemon: Daemon | undefined;

  private constructor(host: FakeHost, folder: string) {
    this.host = host;
    this.folder = folder;
  }

  static async create(host = new FakeHost()): Promise<FakeDaemon> {
    const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
    const fake = new FakeDaemon(host, folder);
    onTestFinished(async () => {
      await fake.stop();
      await rm(folder, { recursive: true });
    });
    return fake;
  }

  /** With a configuration file of these lines beside a VTEP that fits the fake host. */
  static async running(networks = '', host?: FakeHost): Promise<FakeDaemon> {
    const fake = await FakeDaemon.create(host);
    await fake.configure(networks);
    await fake.start();
    return fake;
  }

  get socket(): string {
    return join(this.folder, 'control.sock');
  }

  get configFile(): string {
    return join(this.folder, 'vswitchd.yaml');
  }

  get statePath(): string {
    return join(this.folder, 'control.state.json');
  }

  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error('not started');
    return this.#daemon;
  }

  async configure(networks: string): Promise<void> {
    await writeFile(this.configFile, `vtep: {address: 10.200.0.1}\n${networks}`);
  }

  /** From the configuration file at the usual socket, unless `options` say otherwise. */
  async start(options: Partial<DaemonOptions> = {}): Promise<Daemon> {
    const log = pino({ base: null }, { write: (line) => void this.log.push(JSON.parse(line)) });
    const parts = {
      datapath: new Datapath(this.host.addon),
      namespaces: this.host.namespaceAt,
      machine: BARE_MACHINE,
      log,
      fatal: (detail: string) => log.fatal({ detail }, 'fatal'),
    };
    this.#daemon = await startDaemon(
      { source: { config: this.configFile }, socket: this.socket, ...options },
      parts,
    );
    await registered(this.#daemon);
    return this.#daemon;
  }

  async stop(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    await daemon?.stop();
  }

  /** `vswitchctl ARGS` */
  async ctl(...args: string[]): Promise<ControlResult> {
    let out = '';
    let err = '';
    const code = await runControl(['--socket', this.socket, ...args], {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      stdout: new PassThrough(),
      signal: new AbortController().signal,
    });
    return { code, out, err };
  }

  /** `vswitchctl --json ARGS`, parsed; throws what was refused. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, out, err } = await this.ctl('--json', ...args);
    if (code !== 0) throw new Error(err);
    return JSON.parse(out) as T;
  }

  messages(): string[] {
    return this.log.map((record) => String(record.msg));
  }
}
