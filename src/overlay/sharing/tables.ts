// Records as the shared state. Snapshots share with the ones before whatever did not change.

import type {
  AddressRecord,
  EndpointRecord,
  HostRecord,
  Item,
  MemberRecord,
  NetworkRecord,
} from '../../store/records.js';
import { EMPTY_STATE, type SharedHost, type SharedState } from '../shared.js';

/** How long a lost host is flooded to and may send. */
export const HEARD_MS = 10 * 60_000;

export interface TablesParts {
  /** Milliseconds; never goes back. */
  readonly now: () => number;
  /** UDP port of lost hosts that nobody remembers. */
  readonly defaultPort: number;
}

/** A change costs in proportion to its network's part of the table that it is in. */
export class Tables {
  readonly #parts: TablesParts;
  readonly #networks = new Table<NetworkRecord>();
  readonly #vnis = new Table<string, number>();
  readonly #members = new Groups<MemberRecord>();
  readonly #addresses = new Groups<AddressRecord>();
  readonly #endpoints = new Groups<EndpointRecord>();
  readonly #live = new Map<string, HostRecord>();
  /** How many records each VTEP has apart from its own. */
  readonly #left = new Map<string, number>();
  readonly #lost = new Map<
    string,
    { readonly since: number; readonly last: HostRecord | undefined }
  >();
  #hosts: SharedState['hosts'] = EMPTY_STATE.hosts;
  #areHostsOld = false;
  #state: SharedState = EMPTY_STATE;

  constructor(parts: TablesParts) {
    this.#parts = parts;
  }

  put(item: Item, before: Item | undefined): void {
    if (before !== undefined) this.#count(before, -1);
    this.#count(item, 1);
    switch (item.kind) {
      case 'host':
        this.#live.set(item.vtep, item.record);
        this.#lost.delete(item.vtep);
        this.#areHostsOld = true;
        break;
      case 'network':
        this.#networks.set(item.network, item.record);
        break;
      case 'vni':
        this.#vnis.set(item.vni, item.record.network);
        break;
      case 'member':
        this.#members.at(item.network).set(item.vtep, item.record);
        break;
      case 'address':
        this.#addresses.at(item.network).set(item.ip, item.record);
        break;
      case 'endpoint':
        this.#endpoints.at(item.network).set(item.id, item.record);
        break;
      default:
    }
  }

  remove(item: Item): void {
    this.#count(item, -1);
    switch (item.kind) {
      case 'host':
        this.#live.delete(item.vtep);
        this.#lost.set(item.vtep, { since: this.#parts.now(), last: item.record });
        this.#areHostsOld = true;
        break;
      case 'network':
        this.#networks.delete(item.network);
        break;
      case 'vni':
        this.#vnis.delete(item.vni);
        break;
      case 'member':
        this.#members.at(item.network).delete(item.vtep);
        break;
      case 'address':
        this.#addresses.at(item.network).delete(item.ip);
        break;
      case 'endpoint':
        this.#endpoints.at(item.network).delete(item.id);
        break;
      default:
    }
  }

  isLive(vtep: string): boolean {
    return this.#live.has(vtep);
  }

  /** Lost hosts, and how many milliseconds they are. */
  lost(): ReadonlyMap<string, number> {
    const now = this.#parts.now();
    this.#refreshHosts();
    return new Map([...this.#lost].map(([vtep, { since }]) => [vtep, now - since]));
  }

  /** As of now; the same object as long as it is equal. */
  get state(): SharedState {
    this.#refreshHosts();
    const next: SharedState = {
      hosts: this.#hosts,
      networks: this.#networks.snapshot(),
      vnis: this.#vnis.snapshot(),
      members: this.#members.snapshot(),
      addresses: this.#addresses.snapshot(),
      endpoints: this.#endpoints.snapshot(),
    };
    const parts = Object.keys(next) as (keyof SharedState)[];
    if (parts.some((part) => next[part] !== this.#state[part])) this.#state = next;
    return this.#state;
  }

  #count(item: Item, change: 1 | -1): void {
    const owner = ownerOf(item);
    if (owner === undefined) return;
    const count = (this.#left.get(owner) ?? 0) + change;
    if (count === 0) this.#left.delete(owner);
    else this.#left.set(owner, count);
    if (!this.#live.has(owner)) this.#areHostsOld = true;
  }

  #refreshHosts(): void {
    const now = this.#parts.now();
    if (this.#areHostsOld) {
      for (const vtep of this.#lost.keys()) if (!this.#left.has(vtep)) this.#lost.delete(vtep);
      for (const vtep of this.#left.keys()) {
        if (!this.#live.has(vtep) && !this.#lost.has(vtep)) {
          this.#lost.set(vtep, { since: now, last: undefined });
        }
      }
    }
    const isHeard = (vtep: string) => now - (this.#lost.get(vtep)?.since ?? now) < HEARD_MS;
    const falls = [...this.#lost.keys()].some(
      (vtep) => this.#hosts.get(vtep)?.heard !== isHeard(vtep),
    );
    if (!this.#areHostsOld && !falls) return;
    this.#areHostsOld = false;
    const live = [...this.#live].map(([address, { port, name }]): SharedHost => {
      return { address, port, name, state: 'live', heard: true };
    });
    const lost = [...this.#lost].map(([address, { last }]): SharedHost => {
      const { port = this.#parts.defaultPort, name = address } = last ?? {};
      return { address, port, name, state: 'lost', heard: isHeard(address) };
    });
    this.#hosts = new Map([...live, ...lost].map((host) => [host.address, host]));
  }
}

/** Whose the record is, so that a host that left it counts as lost; gateways are the network's. */
export function ownerOf(item: Item): string | undefined {
  if (item.kind === 'endpoint') return item.record.host;
  if (item.kind === 'member') return item.vtep;
  if (item.kind === 'address' && item.record.use === 'endpoint') return item.record.host;
  return undefined;
}

/** A map that is copied when it changes after somebody has seen it. */
class Table<R, K = string> {
  #map = new Map<K, R>();
  #isSeen = true;

  get size(): number {
    return this.#map.size;
  }

  set(key: K, value: R): void {
    this.#own().set(key, value);
  }

  delete(key: K): void {
    this.#own().delete(key);
  }

  snapshot(): ReadonlyMap<K, R> {
    this.#isSeen = true;
    return this.#map;
  }

  #own(): Map<K, R> {
    if (this.#isSeen) this.#map = new Map(this.#map);
    this.#isSeen = false;
    return this.#map;
  }
}

/** A table for each network; empty ones are left out. */
class Groups<R> {
  readonly #tables = new Map<string, Table<R>>();
  readonly #outer = new Table<ReadonlyMap<string, R>>();
  readonly #touched = new Set<string>();

  /** The network's table, to be changed. */
  at(network: string): Table<R> {
    this.#touched.add(network);
    const table = this.#tables.get(network) ?? new Table<R>();
    this.#tables.set(network, table);
    return table;
  }

  snapshot(): ReadonlyMap<string, ReadonlyMap<string, R>> {
    for (const network of this.#touched) {
      const table = this.at(network);
      if (table.size > 0) {
        this.#outer.set(network, table.snapshot());
      } else {
        this.#tables.delete(network);
        this.#outer.delete(network);
      }
    }
    this.#touched.clear();
    return this.#outer.snapshot();
  }
}
