// This host's part in the store, whole: see `Sharing` for what it promises.

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { SwitchError } from '../../model/error.js';
import { parseIp } from '../../model/ip.js';
import { type Item, keys, type NetworkRecord } from '../../store/records.js';
import type { Store } from '../../store/store.js';
import type {
  AddressWish,
  LocalEndpoint,
  NetworkWish,
  SharedState,
  Sharing,
  StoreHealth,
} from '../shared.js';
import { type Asker, release, reserve } from './addresses.js';
import type { Clock } from './clock.js';
import { type Difference, difference, ipsOf } from './endpoints.js';
import { Follower } from './follower.js';
import { forget, remains } from './hosts.js';
import { Link } from './link.js';
import { Mirror } from './mirror.js';
import {
  createNetwork,
  endpointText,
  enter,
  finishRemoval,
  hostText,
  isAbandoned,
  joinNetwork,
  leave,
  type Making,
  markRemoving,
  type Occupied,
  type UsersOf,
} from './networks.js';
import { Presence, type Self } from './presence.js';
import { Reservations } from './reservations.js';
import { restoration } from './restoration.js';
import { ownerOf } from './tables.js';
import { type Decide, Transactor } from './transactor.js';
import { pack } from './unit.js';
import { Upkeep } from './upkeep.js';

export interface StoreSharingParts {
  /** Opened by the caller, who closes it after `stop`. */
  readonly store: Store;
  readonly self: Self;
  readonly log: Logger;
  readonly clock: Clock;
  /** What only this host knows to be taken; asked before every automatic choice. */
  readonly occupied: () => Occupied;
  /** From 0 to below 1. */
  readonly random: () => number;
}

/** Changes closer to each other than this are told once. */
const COALESCE_MS = 10;
const START_MS = 3_000;
/** Networks that this host does not use are left to those who do, for so long. */
const OTHERS_TURN_MS = 2_000;

export class StoreSharing implements Sharing {
  readonly #parts: StoreSharingParts;
  readonly #mirror: Mirror;
  readonly #link: Link;
  readonly #transactor: Transactor;
  readonly #presence: Presence;
  readonly #follower: Follower;
  readonly #upkeep: Upkeep;
  readonly #reservations: Reservations;
  readonly #asker: Asker;
  readonly #listeners: (() => void)[] = [];
  /** By network and family: the address given last. */
  readonly #lastGiven = new Map<string, string>();
  #highestVni = 0;
  /** `undefined`: not announced yet, so nothing may be withdrawn. */
  #announced: readonly LocalEndpoint[] | undefined;
  #announcedIps: ReadonlySet<string> = new Set();
  #stateSince: { readonly state: StoreHealth['state']; readonly since: number };
  #isTelling = false;
  /** Something has changed that the follower may have to do with. */
  #isConcerned = false;
  #runs: Promise<unknown> = Promise.resolve();

  constructor(parts: StoreSharingParts) {
    const { store, self, log, clock, random } = parts;
    this.#parts = parts;
    this.#stateSince = { state: 'connecting', since: clock.date() };
    const onState = () => this.#changed();
    this.#mirror = new Mirror({
      now: () => clock.now(),
      defaultPort: self.port,
      onGarbage: (entry) => log.warn({ ...entry }, 'garbage in the store, left alone'),
      onItem: (item, isThere) => this.#note(item, isThere),
    });
    const mirror = this.#mirror;
    const common = { store, mirror, clock, log, self, random, onState };
    this.#link = new Link(common);
    this.#transactor = new Transactor({ ...common, link: this.#link });
    this.#presence = new Presence({
      ...common,
      link: this.#link,
      transactor: this.#transactor,
      newId: randomUUID,
    });
    this.#follower = new Follower({
      ...common,
      transactor: this.#transactor,
      isConnected: () => this.#link.state === 'connected',
      compute: () => this.#difference(),
      onConflicts: onState,
    });
    this.#upkeep = new Upkeep({
      ...common,
      mayChange: () => this.#link.state === 'connected' && this.#presence.rival === undefined,
      forgetHost: (vtep) => this.forgetHost(vtep),
      finishRemoval: async (network) => void (await this.#finishRemoval(network)),
      removeNetwork: (network) => this.#removeIfAbandoned(network),
    });
    this.#reservations = new Reservations(() => clock.now());
    this.#asker = {
      self: self.address,
      isInUse: (network, ip) => this.#announcedIps.has(keys.address(network, ip)),
      last: (network, family) => this.#lastGiven.get(`${network} ${family}`),
      random,
    };
    mirror.onChange(() => {
      if (this.#isConcerned || this.#follower.conflicts.length > 0) this.#follower.poke();
      this.#isConcerned = mirror.heldSince !== undefined;
      this.#changed();
    });
  }

  get state(): SharedState {
    return this.#mirror.state;
  }

  get health(): StoreHealth {
    const { state, detail } = this.#condition();
    const { rival } = this.#presence;
    const { self } = this.#parts;
    const own =
      rival === undefined
        ? []
        : [`host ${rival.name} has our VTEP address ${self.address}: nothing of ours is shared`];
    return {
      state,
      since: this.#stateSince.since,
      ...(detail !== undefined && { detail }),
      age: this.#link.age,
      garbage: this.#mirror.garbage,
      conflicts: [...own, ...this.#follower.conflicts],
    };
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async start(): Promise<void> {
    const first = this.#link.refresh();
    this.#runs = Promise.all(
      [this.#link, this.#presence, this.#follower, this.#upkeep].map((part) => part.run()),
    );
    const patience = new AbortController();
    await Promise.race([first.catch(() => {}), this.#parts.clock.sleep(START_MS, patience.signal)]);
    patience.abort();
  }

  async stop(): Promise<void> {
    for (const part of [this.#link, this.#presence, this.#follower, this.#upkeep]) part.stop();
    await this.#runs;
  }

  async withdraw(): Promise<void> {
    const { address } = this.#parts.self;
    this.announce([]);
    // The other machine's records are not ours to remove.
    if (this.#presence.rival !== undefined) return;
    const memberships = [...this.state.members].filter(([, vteps]) => vteps.has(address));
    for (const [network] of memberships) await this.leave(network);
    await this.#commitAll((view) => {
      const transaction = pack(remains(view, address));
      return { ...(transaction && { transaction }), result: transaction !== undefined };
    });
    await this.#presence.leave();
  }

  createNetwork(wish: NetworkWish): Promise<NetworkRecord> {
    return this.#commit(createNetwork(wish, this.#making()));
  }

  async joinNetwork(wish: NetworkWish): Promise<NetworkRecord> {
    const { name } = wish.network;
    const deadline = this.#transactor.deadline();
    for (;;) {
      const joined = await this.#commit(joinNetwork(wish, this.#making()), deadline);
      if (typeof joined === 'object') return joined;
      if (joined === 'stale') {
        await this.#remove(name, deadline);
        continue;
      }
      await this.#transactor.seen(() => {
        const record = this.state.networks.get(name);
        const isThere = this.#mirror.text(keys.network(name)) !== undefined;
        return record === undefined || (isThere && !record.removing);
      });
      if (this.#parts.clock.now() >= deadline) {
        throw new SwitchError('NETWORK_EXISTS', name, { why: 'it is being removed or restored' });
      }
    }
  }

  removeNetwork(name: string): Promise<void> {
    return this.#remove(name, this.#transactor.deadline());
  }

  async enter(network: string, dockerId: string): Promise<void> {
    this.#presence.back();
    await this.#commit(enter(network, this.#parts.self.address, dockerId));
  }

  async leave(network: string): Promise<void> {
    await this.#commit(leave(network, this.#parts.self.address));
    await this.#removeIfAbandoned(network);
  }

  async reserve(network: string, wish: AddressWish): Promise<string> {
    this.#presence.back();
    const tried = new Set<string>();
    const deadline = this.#transactor.deadline();
    const decide = reserve(network, wish, this.#asker);
    let given: string | undefined;
    try {
      if (!this.#isPresent()) await this.#transactor.seen(() => this.#isPresent());
      const { ip, cidr } = await this.#commit((view, attempt) => {
        const decision = decide(view, attempt);
        if (wish.use === 'endpoint') {
          // Before it is in the store: from then on it must not look forgotten.
          this.#reservations.add(network, decision.result.ip, wish.address !== undefined);
          tried.add(decision.result.ip);
        }
        return decision;
      }, deadline);
      given = ip;
      return cidr;
    } finally {
      for (const ip of tried) if (ip !== given) this.#reservations.remove(network, ip);
    }
  }

  async release(network: string, address: string): Promise<void> {
    this.#reservations.remove(network, address);
    await this.#commit(release(network, address, this.#asker));
  }

  announce(endpoints: readonly LocalEndpoint[]): void {
    const ips = endpoints.flatMap((endpoint) =>
      ipsOf(endpoint).map((ip) => [endpoint.network, ip] as const),
    );
    for (const [network, ip] of ips) this.#reservations.remove(network, ip);
    this.#announced = endpoints;
    this.#announcedIps = new Set(ips.map(([network, ip]) => keys.address(network, ip)));
    if (endpoints.length > 0) this.#presence.back();
    this.#follower.poke();
  }

  async forgetHost(address: string): Promise<void> {
    await this.#commitAll(forget(address));
  }

  async #commit<T>(decide: Decide<T>, deadline?: number): Promise<T> {
    const { rival } = this.#presence;
    if (rival === undefined) return this.#transactor.commit(decide, deadline);
    throw new SwitchError('STORE_REFUSED', this.#parts.store.name, {
      why: `host ${rival.name} has our VTEP address ${this.#parts.self.address}`,
      fix: 'give each host a VTEP address of its own',
    });
  }

  /** Again as long as the decision says that there is more. */
  async #commitAll(decide: Decide<boolean>): Promise<void> {
    while (await this.#commit(decide));
  }

  async #remove(name: string, deadline: number): Promise<void> {
    await this.#commit(markRemoving(name, this.#usersOf), deadline);
    const isRemoved = await this.#finishRemoval(name, deadline);
    if (isRemoved) return;
    const detail = this.#usersOf(this.#mirror, name).join(', ');
    throw new SwitchError('NETWORK_IN_USE', name, { detail });
  }

  /** False: it is in use, and was taken back. */
  async #finishRemoval(name: string, deadline?: number): Promise<boolean> {
    for (;;) {
      const step = await this.#commit(finishRemoval(name, this.#usersOf), deadline);
      if (step !== 'more') return step === 'done';
    }
  }

  /** Of a network that Docker made the last one who knew it takes it away; if others use it, it stays. */
  async #removeIfAbandoned(network: string): Promise<void> {
    const isCluster = this.state.networks.get(network)?.owner === 'docker-cluster';
    if (!isCluster && !isAbandoned(this.#mirror, network)) return;
    try {
      await this.removeNetwork(network);
    } catch (error) {
      const { code } = error as SwitchError;
      if (code !== 'NETWORK_IN_USE' && code !== 'NETWORK_UNKNOWN') throw error;
    }
  }

  /** Endpoints, but not those of this host that are on their way out; and who knows a network that Docker made. */
  readonly #usersOf: UsersOf = (view, name) => {
    const { address } = this.#parts.self;
    const own = (this.#announced ?? []).filter(({ network }) => network === name);
    const ownIds = new Set(own.map(({ id }) => id));
    const others = [...(view.state.endpoints.get(name) ?? [])].filter(
      ([id, { host }]) => host !== address || this.#announced === undefined || ownIds.has(id),
    );
    const shared = new Set(others.map(([id]) => id));
    const isDockers = view.state.networks.get(name)?.owner === 'docker';
    const members = isDockers ? [...(view.state.members.get(name)?.keys() ?? [])] : [];
    return [
      ...members.map((vtep) => `Docker on ${hostText(view, vtep)}`),
      ...others.map(([id, record]) => endpointText(view, id, record)),
      ...own.filter(({ id }) => !shared.has(id)).map(({ id, name: label }) => label ?? id),
    ];
  };

  #making(): Making {
    const { random, occupied } = this.#parts;
    return { id: randomUUID(), highestVni: this.#highestVni, occupied: occupied(), random };
  }

  /** What the store lacks of this host and of what was lost. */
  #difference(): Difference {
    const { clock, self } = this.#parts;
    const { heldSince } = this.#mirror;
    if (this.#presence.rival !== undefined) return { units: [], conflicts: [] };
    const isOthersTurn = heldSince !== undefined && clock.now() - heldSince < OTHERS_TURN_MS;
    const lost = restoration(
      this.#mirror,
      self.address,
      (network) => !isOthersTurn || this.#uses(network),
      this.#highestVni,
    );
    // What a host tells that looks lost may be taken over before it is there.
    if (this.#announced === undefined || !this.#isPresent()) return lost;
    this.#reservations.observe(this.state.addresses, self.address, this.#asker.isInUse);
    const own = difference(this.#mirror, {
      self: self.address,
      endpoints: this.#announced,
      reservations: this.#reservations,
    });
    return {
      units: [...lost.units, ...own.units],
      conflicts: [...lost.conflicts, ...own.conflicts],
    };
  }

  /** Whether the store has this host's own record. */
  #isPresent(): boolean {
    return this.#mirror.text(keys.host(this.#parts.self.address)) !== undefined;
  }

  #uses(network: string): boolean {
    const isMember = this.state.members.get(network)?.has(this.#parts.self.address) === true;
    return isMember || (this.#announced ?? []).some((endpoint) => endpoint.network === network);
  }

  #note(item: Item, isThere: boolean): void {
    const { address } = this.#parts.self;
    // What other hosts have is no reason to look for what the store lacks of ours.
    const isOwn = ownerOf(item) === address || (item.kind === 'host' && item.vtep === address);
    if (isOwn || item.kind === 'network') this.#isConcerned = true;
    if (!isThere) return;
    if (item.kind === 'network') {
      this.#highestVni = Math.max(this.#highestVni, item.record.network.vni);
    } else if (item.kind === 'address' && item.record.use === 'endpoint') {
      this.#lastGiven.set(`${item.network} ${parseIp(item.ip)?.family}`, item.ip);
    }
  }

  #condition(): Pick<StoreHealth, 'state' | 'detail'> {
    const { state, detail } = this.#link;
    if (state !== 'connected') return { state, detail };
    if (this.#presence.trouble !== undefined) {
      return { state: 'degraded', detail: this.#presence.trouble };
    }
    if (this.#mirror.heldSince === undefined) return { state };
    return { state: 'degraded', detail: 'it has lost its contents; what was known holds for now' };
  }

  #changed(): void {
    const { state, detail } = this.#condition();
    const { clock, log, store } = this.#parts;
    if (state !== this.#stateSince.state) {
      this.#stateSince = { state, since: clock.date() };
      const facts = { store: store.name, state, ...(detail !== undefined && { detail }) };
      if (state === 'connected') log.info(facts, 'store');
      else log.warn(facts, 'store');
    }
    if (this.#isTelling) return;
    this.#isTelling = true;
    void clock.sleep(COALESCE_MS).then(() => {
      this.#isTelling = false;
      for (const listener of this.#listeners) listener();
    });
  }
}
