// What systemd, or whoever else started us with NOTIFY_SOCKET, is told (sd_notify(3)).

import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';

/** Of the datapath: who says it, and by what one sees that its workers live. */
export type Messenger = Pick<Datapath, 'notifyServiceManager' | 'counters'>;

/** The environment of a service, systemd.exec(5). */
export interface ServiceEnvironment {
  /** Absent or empty: nobody wants to know. */
  readonly NOTIFY_SOCKET?: string | undefined;
  /** Microseconds without a sign of life after which we are taken for dead. */
  readonly WATCHDOG_USEC?: string | undefined;
  /** Whom the watchdog is for; absent = us. */
  readonly WATCHDOG_PID?: string | undefined;
}

const MICROS = 1000;

/** The service manager. All of it does nothing where nobody wants to know; nothing of it throws. */
export class ServiceManager {
  readonly #messenger: Messenger;
  readonly #environment: ServiceEnvironment;
  readonly #log: Logger;
  /** Each worker's turns at the last look. */
  #turns: readonly number[] = [];
  #watch: NodeJS.Timeout | undefined;
  #isDeaf = false;

  constructor(messenger: Messenger, environment: ServiceEnvironment, log: Logger) {
    this.#messenger = messenger;
    this.#environment = environment;
    this.#log = log;
  }

  /** The control socket answers and frames are switched. From now on the watchdog is fed. */
  ready(): void {
    this.#tell('READY=1', 'STATUS=Switching frames.');
    const { WATCHDOG_USEC: micros, WATCHDOG_PID: pid } = this.#environment;
    const isOurs = pid === undefined || pid === String(process.pid);
    if (!isOurs || !(Number(micros) > 0) || this.#watch !== undefined) return;
    // Half of it, as sd_watchdog_enabled(3) advises.
    const every = Number(micros) / MICROS / 2;
    this.#watch = setInterval(() => this.look(), every);
    this.#watch.unref();
  }

  /** A reload begins; `ready` ends it. */
  reloading(): void {
    const now = process.hrtime.bigint() / BigInt(MICROS);
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${now}`, 'STATUS=Reading the configuration anew.');
  }

  /** No watchdog from here on: what takes too long at the end has its own timeout. */
  stopping(): void {
    clearInterval(this.#watch);
    this.#tell('STOPPING=1', 'STATUS=Stopping; TAPs stay.');
  }

  /**
   * Feeds the watchdog if every worker has taken a turn since the last look. They take four a second when idle; that this
   * runs shows that the event loop does.
   */
  look(): void {
    const before = this.#turns;
    this.#turns = this.#turnsTaken();
    if (this.#turns.length > 0 && this.#turns.every((now, worker) => now !== before[worker]))
      this.#tell('WATCHDOG=1');
  }

  /** None of a datapath that has ended. */
  #turnsTaken(): readonly number[] {
    try {
      return this.#messenger.counters().workers.map((worker) => worker.turns);
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      return [];
    }
  }

  #tell(...lines: readonly string[]): void {
    const { NOTIFY_SOCKET: socket } = this.#environment;
    if (!socket) return;
    try {
      this.#messenger.notifyServiceManager(socket, lines.join('\n'));
    } catch (error) {
      if (!(error instanceof SwitchError)) throw error;
      if (!this.#isDeaf) this.#log.warn({ socket, detail: error.message }, 'service manager');
      this.#isDeaf = true;
    }
  }
}
