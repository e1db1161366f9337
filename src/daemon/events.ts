// What the datapath reports goes to the log, at a bounded rate whatever happens on the wire.

import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import type { DatapathEvent } from '../datapath/seam.js';

/** Most events taken at once; the ring behind is bounded too. */
const BATCH = 256;
/** Pause after a wake, so that a burst is one batch: at most 100 drains a second. */
const SETTLE_MS = 10;
/** Log lines of one type in one window. */
const LINES = 5;
const WINDOW_MS = 10_000;

export interface EventHandlers {
  readonly portGone: (port: string) => void;
  readonly fatal: (detail: string) => void;
}

/** Lets through a few lines of each kind in each window and counts the rest. Time is an argument. */
export class RateLimit {
  readonly #windows = new Map<string, { start: number; lines: number; suppressed: number }>();

  /** How many lines were held back since the last one; `undefined` = hold this one back too. */
  admit(kind: string, now: number): number | undefined {
    const window = this.#windows.get(kind);
    if (window === undefined || now - window.start >= WINDOW_MS) {
      this.#windows.set(kind, { start: now, lines: 1, suppressed: 0 });
      return window?.suppressed ?? 0;
    }
    if (window.lines < LINES) {
      window.lines += 1;
      return 0;
    }
    window.suppressed += 1;
    return undefined;
  }
}

/** Drains the datapath's events whenever it wakes us, until stopped. */
export class EventPump {
  readonly #datapath: Pick<Datapath, 'drain'>;
  readonly #handlers: EventHandlers;
  readonly #log: Logger;
  readonly #limit = new RateLimit();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(datapath: Pick<Datapath, 'drain'>, handlers: EventHandlers, log: Logger) {
    this.#datapath = datapath;
    this.#handlers = handlers;
    this.#log = log;
  }

  /** Call from the datapath's `wake`. */
  wake(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, SETTLE_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #drain(): void {
    const events = this.#datapath.drain(BATCH);
    for (const event of events) this.#handle(event);
    if (events.length === BATCH) this.wake();
  }

  #handle(event: DatapathEvent): void {
    const { type, at: _, ...facts } = event;
    if (type === 'fatal') this.#handlers.fatal(event.detail ?? 'no detail');
    if (type === 'portGone' && event.port !== undefined) this.#handlers.portGone(event.port);
    const suppressed = this.#limit.admit(type, Date.now());
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? {} : { suppressed };
    const reason = DROPPED[type];
    const named = reason === undefined ? {} : { reason };
    this.#log.warn({ event: type, ...named, ...facts, ...more }, TEXTS[type] ?? type);
  }
}

/** Events about frames that are always dropped: the reason under which they are counted. */
const DROPPED: Readonly<Record<string, string>> = {
  vniUnknown: 'rx.vni_unknown',
  sourceMacLocal: 'rx.src_mac_local',
};

const TEXTS: Readonly<Record<string, string>> = {
  portGone: 'port lost its device',
  macMoved: 'MAC moved',
  fdbFull: 'FDB full: new MACs are not learned',
  vniUnknown: 'datagrams for a VNI that no network has',
  sourceMacLocal: 'a frame from outside bears a MAC of ours: a loop, or a forgery',
  ecnOdd: 'inner and outer ECN do not go together: something on the way sets what it should not',
  ipConflict:
    'a station says that it has an address, which belongs to another: a duplicate, or a forgery',
  pathMtu: 'the path to a VTEP carries another size of packets',
  downgraded: 'continues without an offload',
  lost: 'events were lost: the ring was full',
};
