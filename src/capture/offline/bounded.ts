// Tables that a hostile capture cannot grow without end: what finds no room is counted, and told.

/** Room for entries, which several tables may share. */
export class Room {
  #left: number;
  /** How often something found none. */
  refused = 0;

  constructor(entries: number) {
    this.#left = entries;
  }

  take(): boolean {
    if (this.#left > 0) {
      this.#left -= 1;
      return true;
    }
    this.refused += 1;
    return false;
  }
}

export class BoundedMap<Key, Value> {
  readonly #map = new Map<Key, Value>();
  readonly #room: Room;

  constructor(room: Room) {
    this.#room = room;
  }

  /** What stands under `key`, made if need be and if there is room. */
  obtain(key: Key, make: () => Value): Value | undefined {
    const known = this.#map.get(key);
    if (known !== undefined) return known;
    if (!this.#room.take()) return undefined;
    const made = make();
    this.#map.set(key, made);
    return made;
  }

  get(key: Key): Value | undefined {
    return this.#map.get(key);
  }

  get size(): number {
    return this.#map.size;
  }

  entries(): IterableIterator<[Key, Value]> {
    return this.#map.entries();
  }

  values(): IterableIterator<Value> {
    return this.#map.values();
  }
}

/** How often each of a few names happened. */
export class Tally<Key> {
  readonly #counts = new Map<Key, number>();
  readonly #room: Room | undefined;

  /** Without `room`: for keys of which there are few by their nature. */
  constructor(room?: Room) {
    this.#room = room;
  }

  add(key: Key, times = 1): void {
    const known = this.#counts.get(key);
    if (known === undefined && this.#room?.take() === false) return;
    this.#counts.set(key, (known ?? 0) + times);
  }

  get(key: Key): number {
    return this.#counts.get(key) ?? 0;
  }

  /** The most frequent first. */
  sorted(): [Key, number][] {
    return [...this.#counts].sort(([, a], [, b]) => b - a);
  }
}

/** How much a report may hold; beyond that it counts. */
export interface Limits {
  readonly networks: number;
  /** VTEP pairs, over all networks. */
  readonly pairs: number;
  /** Inner MACs, over all networks. */
  readonly stations: number;
  /** Protocols and VLANs, over all networks. */
  readonly kinds: number;
  /** Moves, fragmented packets, ICMP complaints: of each. */
  readonly findings: number;
}

/** Some 100 MB at the worst. */
export const LIMITS: Limits = {
  networks: 10_000,
  pairs: 20_000,
  stations: 200_000,
  kinds: 50_000,
  findings: 1000,
};

export interface Rooms {
  readonly networks: Room;
  readonly pairs: Room;
  readonly stations: Room;
  readonly kinds: Room;
  readonly moves: Room;
  readonly fragments: Room;
  readonly complaints: Room;
  readonly senders: Room;
}

export function rooms(limits: Limits): Rooms {
  return {
    networks: new Room(limits.networks),
    pairs: new Room(limits.pairs),
    stations: new Room(limits.stations),
    kinds: new Room(limits.kinds),
    moves: new Room(limits.findings),
    fragments: new Room(limits.findings),
    complaints: new Room(limits.findings),
    senders: new Room(limits.pairs),
  };
}
