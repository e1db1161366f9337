// What was dropped on this host since the start. The datapath counts at ports and networks, and their counts
// go with them when a network is removed; sums over the host must not go back for that.

import type { Counters, DropCount } from '../datapath/seam.js';
import { sumDrops } from '../model/counters.js';

/** Remembers, from reading to reading. Readings must come in their order. */
export class DropLedger {
  /** Of networks that are no more. */
  #gone: readonly DropCount[] = [];
  /** By network, as last read. */
  #known: ReadonlyMap<string, readonly DropCount[]> = new Map();

  /** Sums by reason, in no order; what a network dropped after the last reading before its end is lost. */
  sums(counters: Counters): DropCount[] {
    const networks = new Map(
      counters.networks.map(({ name, vni, drops, retired, ports }) => [
        `${name} ${vni}`,
        sumDrops([drops, retired.drops, ...ports.map((port) => port.drops)]),
      ]),
    );
    const ended = [...this.#known].filter(([key, drops]) => isOther(drops, networks.get(key)));
    this.#gone = sumDrops([this.#gone, ...ended.map(([, drops]) => drops)]);
    this.#known = networks;
    return sumDrops([this.#gone, counters.underlay.drops, ...networks.values()]);
  }
}

/** Whether it ended meanwhile: it is not there, or one of its name begins anew. */
function isOther(before: readonly DropCount[], now: readonly DropCount[] | undefined): boolean {
  const counts = new Map(now?.map(({ reason, frames }) => [reason, frames]));
  return now === undefined || before.some((drop) => (counts.get(drop.reason) ?? 0) < drop.frames);
}
