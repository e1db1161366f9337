// The datapath as the rest of the program sees it: the addon's calls, with errors in our words.

import { fromNative } from './nativeError.js';
import type {
  Addon,
  ApplyReport,
  CaptureSpec,
  CaptureStatus,
  Counters,
  DatapathEvent,
  DesiredState,
  FdbEntry,
  Furniture,
  GivenTap,
  History,
  Interface,
  NativeDatapath,
  NewTap,
  OwnedTap,
  Probe,
  Trace,
  TraceRequest,
} from './seam.js';

/** Held until released; the kernel releases it when the process dies. */
export interface Lock {
  release(): void;
}

/**
 * One switch of this process and the host facilities around it. idle -> running -> stopped.
 *
 * No call costs in proportion to frames. Every method throws (or rejects with) `SwitchError`.
 */
export class Datapath {
  readonly #addon: Addon;
  readonly #native: NativeDatapath;

  constructor(addon: Addon) {
    this.#addon = addon;
    this.#native = guard(() => new addon.Datapath());
  }

  /** Makes `desired` true; a failure leaves the old state running and names the culprit. */
  apply(desired: DesiredState): Promise<ApplyReport> {
    return guardAsync(() => this.#native.apply(desired));
  }

  /** `wake` is called (at most once until drained) when events wait. */
  start(wake: () => void): void {
    guard(() => this.#native.start(wake));
  }

  /** Takes up to `max` events. */
  drain(max: number): DatapathEvent[] {
    return guard(() => this.#native.drain(max));
  }

  /** Makes the TAP of a port with a sandbox in our own namespace, for `apply` to adopt. */
  makeTap(tap: NewTap): Promise<void> {
    return guardAsync(() => this.#native.makeTap(tap));
  }

  /** From now on takes TAPs that others made and hand over at this unix socket. */
  receiveHandovers(path: string): void {
    guard(() => this.#native.receiveHandovers(path));
  }

  counters(): Counters {
    return guard(() => this.#native.counters());
  }

  fdb(network?: string): FdbEntry[] {
    return guard(() => this.#native.fdb(network));
  }

  /** Forgets learned entries of the network, or of one port of it; returns how many. */
  fdbFlush(network: string, port?: string): number {
    return guard(() => this.#native.fdbFlush(network, port));
  }

  /** Begins a capture: pcapng to whoever connects to `spec.socket`. Rejects with BAD_FILTER, TOO_MANY_CAPTURES, BAD_VALUE, IO. */
  capture(spec: CaptureSpec): Promise<CaptureStatus> {
    return guardAsync(() => this.#native.capture(spec));
  }

  captures(): CaptureStatus[] {
    return guard(() => this.#native.captures());
  }

  /** Its reader gets what it has and the statistics; false when there is none of this ID (any more). */
  endCapture(id: number): boolean {
    return guard(() => this.#native.endCapture(id));
  }

  /** The way that a frame would take at this moment; nothing is sent, learned or counted. */
  trace(request: TraceRequest): Trace {
    return guard(() => this.#native.trace(request));
  }

  /** What has happened, from this line on. */
  history(fromSeq = 0): History {
    return guard(() => this.#native.history(fromSeq));
  }

  /** Any number of times. TAPs stay. */
  stop(): Promise<void> {
    return guardAsync(() => this.#native.stop());
  }

  /** Really tries each facility: not for a steady rate. */
  probe(): Probe {
    return guard(() => this.#addon.probe());
  }

  /** The interfaces of our network namespace: cheap. */
  interfaces(): Interface[] {
    return guard(() => this.#addon.interfaces());
  }

  dropReasons(): ReturnType<Addon['dropReasons']> {
    return guard(() => this.#addon.dropReasons());
  }

  /** Throws LOCKED when another process holds the file. */
  lockFile(path: string): Lock {
    return guard(() => this.#addon.lockFile(path));
  }

  /** One datagram of sd_notify(3) to the socket that NOTIFY_SOCKET names. Throws IO. */
  notifyServiceManager(socket: string, state: string): void {
    guard(() => this.#addon.notifyServiceManager(socket, state));
  }

  /** Every TAP on this machine that bears the owner's mark. */
  ownedTaps(owner: string): Promise<OwnedTap[]> {
    return guardAsync(() => this.#addon.ownedTaps(owner));
  }

  /** Removes a TAP for good; false when it was not there or bears not the mark of owner and port. */
  removeTap(tap: OwnedTap, owner: string): Promise<boolean> {
    return guardAsync(() => this.#addon.removeTap(tap.netns, tap.ifname, owner, tap.port));
  }

  /** The same for the port of a sandbox: the TAP is there or in our own namespace, under any name. */
  removeRoamingTap(sandbox: string, port: string, owner: string): Promise<boolean> {
    return guardAsync(() => this.#addon.removeTap(sandbox, undefined, owner, port));
  }
}

/** Makes a TAP in our network namespace, that of the process `pid`, and hands it over at the unix socket `path`. */
export function giveTap(addon: Addon, path: string, pid: number, ifname: string): GivenTap {
  return guard(() => addon.giveTap(path, pid, ifname));
}

/** Sets it up as it shall be. */
export function furnishTap(tap: GivenTap, furniture: Furniture): void {
  guard(() => tap.furnish(furniture));
}

function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

async function guardAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromNative(error);
  }
}
