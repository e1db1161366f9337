/**
 * Hosts that share through one store, whatever they do at once and whatever goes wrong: at every moment
 * the store gives no address and no VNI twice; when all is well again, all know the same, it is what
 * they announced, and after everything is removed nothing is left.
 */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SwitchError } from '../../src/model/error.js';
import type { LocalEndpoint } from '../../src/overlay/shared.js';
import type { AddressRecord, EndpointRecord, NetworkRecord } from '../../src/store/records.js';
import { endpoint, type SharedHostRun, SharedHosts, wish } from '../support/sharedHosts.js';

const HOSTS = [1, 2, 3];
/** Milliseconds of each host's way to the store, so that what they do at once crosses. */
const LATENCY = [0, 1, 4, 15];
/** Milliseconds by which each host's clocks go wrong. */
const SKEW = [0, 0, 600_000, -600_000];
const WELL = { down: false, hangs: false, latency: 0, lostAnswers: 0 };
const host = fc.constantFrom(...HOSTS);
const network = fc.constantFrom('a', 'b');

type Step =
  | OfHost
  | { readonly do: 'compact' | 'empty' | 'wipe' | 'garbage' }
  | { readonly do: 'wait'; readonly ms: number };

type OfHost = { readonly host: number } & (
  | { readonly do: 'create' | 'join' | 'enter' | 'leave' | 'remove'; readonly network: string }
  | { readonly do: 'attach'; readonly network: string; readonly last: number | undefined }
  | { readonly do: 'detach' | 'drop'; readonly at: number }
  | { readonly do: 'down' | 'hang' | 'heal' | 'disconnect' | 'lose' }
  | { readonly do: 'slow'; readonly latency: number }
  | { readonly do: 'kill' | 'restart' | 'gateway' }
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom(...(['create', 'join', 'join', 'enter', 'leave', 'remove'] as const)),
      host,
      network,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('attach' as const),
      host,
      network,
      last: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('detach' as const, 'drop' as const),
      host,
      at: fc.nat(5),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(...(['down', 'hang', 'heal', 'heal', 'disconnect', 'lose'] as const)),
      host,
    }),
  },
  fc.record({
    do: fc.constant('slow' as const),
    host,
    latency: fc.constantFrom(1, 30, 900, 4_000),
  }),
  fc.record({ do: fc.constantFrom(...(['kill', 'restart', 'restart', 'gateway'] as const)), host }),
  fc.record({ do: fc.constantFrom(...(['compact', 'empty', 'wipe', 'garbage'] as const)) }),
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.constantFrom(0, 1, 20, 500, 5_000, 40_000),
    }),
  },
);

class World {
  readonly hosts = new SharedHosts();
  readonly running = new Map<number, SharedHostRun>();
  /** What each host has attached, also while its daemon is away. */
  readonly attached = new Map<number, LocalEndpoint[]>(HOSTS.map((number) => [number, []]));
  readonly #works = new Set<Promise<unknown>>();
  readonly #random: () => number;
  #count = 0;
  #told: readonly string[] = [];
  /** The first moment at which the store was not sound; one that lost its contents is not judged. */
  unsound: unknown;
  /** Keys of addresses that were asked for by name: they wait for their endpoint. */
  readonly named = new Set<string>();

  constructor(seed: number, isJudged: boolean) {
    let state = seed;
    this.#random = () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state / 2_147_483_648;
    };
    this.hosts.cluster.onWrite(() => {
      try {
        if (isJudged) this.#judge();
      } catch (error) {
        this.unsound ??= error;
      }
    });
  }

  async begin(number: number): Promise<void> {
    if (this.running.has(number)) return;
    const run = this.hosts.prepare(number, { random: this.#random, skew: SKEW[number] ?? 0 });
    run.store.set({ latency: LATENCY[number] ?? 0 });
    this.running.set(number, run);
    this.#do(run.sharing.start());
    this.#announce(number);
  }

  async take(next: Step): Promise<void> {
    const { clock, cluster } = this.hosts;
    switch (next.do) {
      case 'wait':
        return clock.advance(next.ms);
      case 'compact':
        return cluster.compact();
      case 'garbage':
        return cluster.put('endpoints/a/garbage', '?');
      case 'empty':
      case 'wipe':
        return this.#loseContents(next.do);
      case 'restart':
        return this.begin(next.host);
      default: {
        const run = this.running.get(next.host);
        return run === undefined ? undefined : this.#takeOn(run, next);
      }
    }
  }

  async #takeOn(run: SharedHostRun, next: OfHost): Promise<void> {
    switch (next.do) {
      case 'create':
        return this.#do(run.sharing.createNetwork(made(next.network)));
      case 'join':
        return this.#do(run.sharing.joinNetwork(made(next.network)));
      case 'enter':
        return this.#do(run.sharing.enter(next.network, 'id'));
      case 'leave':
        return this.#do(run.sharing.leave(next.network));
      case 'remove':
        return this.#do(run.sharing.removeNetwork(next.network));
      case 'gateway':
        return this.#do(run.sharing.reserve('a', { family: 4, use: 'gateway' }));
      case 'attach':
        return this.#do(this.#attach(next.host, run, next.network, next.last));
      case 'detach':
        return this.#detach(next.host, next.at, run);
      case 'drop':
        return this.#detach(next.host, next.at);
      case 'down':
        return run.store.set({ down: true });
      case 'hang':
        return run.store.set({ hangs: true });
      case 'heal':
        return run.store.set({ ...WELL, latency: LATENCY[next.host] ?? 0 });
      case 'slow':
        return run.store.set({ latency: next.latency });
      case 'lose':
        return run.store.set({ lostAnswers: 2 });
      case 'disconnect':
        return run.store.disconnect();
      case 'kill':
        this.running.delete(next.host);
        return this.hosts.kill(run);
      case 'restart':
        return;
      default:
        next satisfies never;
    }
  }

  /** A few milliseconds go by, or none. */
  async pass(): Promise<void> {
    await this.hosts.clock.advance(Math.floor(this.#random() * 8));
  }

  /** Everything works, everybody runs, and there was time. */
  async heal(): Promise<void> {
    for (const run of this.hosts.runs) run.store.set(WELL);
    for (const number of HOSTS) await this.begin(number);
    await this.hosts.clock.advance(200_000);
    await Promise.all(this.#works);
  }

  async removeAll(): Promise<void> {
    for (const number of HOSTS) {
      this.attached.set(number, []);
      this.#announce(number);
    }
    await this.hosts.clock.advance(1_000);
    for (const name of ['a', 'b']) {
      for (const run of this.running.values()) this.#do(run.sharing.leave(name));
      await this.hosts.clock.advance(1_000);
      for (const run of this.running.values()) this.#do(run.sharing.removeNetwork(name));
      await this.hosts.clock.advance(1_000);
    }
    await this.hosts.clock.advance(200_000);
  }

  /** Sound, and nobody took away what a living host has attached. */
  #judge(): void {
    expectSound(this);
    const { cluster } = this.hosts;
    const before = this.#told;
    this.#told = cluster.keys('endpoints/');
    const alive = HOSTS.filter((number) => cluster.keys(`hosts/10.200.0.${number}`).length > 0);
    const attached = alive.flatMap((number) => this.attached.get(number) ?? []);
    const gone = before.filter((key) => !this.#told.includes(key));
    expect(gone.filter((key) => attached.some(({ id }) => key.endsWith(`/${id}`)))).toEqual([]);
  }

  async #loseContents(how: 'empty' | 'wipe'): Promise<void> {
    const { cluster, runs } = this.hosts;
    if (how === 'wipe') return cluster.delete(...cluster.keys());
    cluster.empty();
    for (const run of runs) run.store.disconnect();
  }

  async #attach(number: number, run: SharedHostRun, name: string, last?: number): Promise<void> {
    const address = last === undefined ? undefined : `10.0.0.${last}`;
    if (address !== undefined) this.named.add(`addresses/${name}/${address}`);
    const cidr = await run.sharing.reserve(name, { family: 4, address, use: 'endpoint' });
    // A daemon that was killed meanwhile has told nobody.
    if (this.running.get(number) !== run) return;
    this.#count += 1;
    this.attached.get(number)?.push(endpoint(name, `e${this.#count}`, cidr));
    this.#announce(number);
  }

  async #detach(number: number, at: number, run?: SharedHostRun): Promise<void> {
    const list = this.attached.get(number) ?? [];
    const [gone] = list.splice(at % Math.max(list.length, 1), 1);
    this.#announce(number);
    const [ip = ''] = gone?.addresses[0]?.split('/') ?? [];
    if (gone !== undefined && run !== undefined) this.#do(run.sharing.release(gone.network, ip));
  }

  #announce(number: number): void {
    this.running.get(number)?.sharing.announce([...(this.attached.get(number) ?? [])]);
  }

  /** Goes on by itself; may be refused, but only with a reason. */
  #do(work: Promise<unknown>): void {
    const watched = work.catch((error) => {
      if (!(error instanceof SwitchError)) throw error;
    });
    this.#works.add(watched);
  }
}

const made = (name: string) =>
  wish(name, { owner: name === 'a' ? 'docker' : 'people', pools: [{ subnet: '10.0.0.0/28' }] });

/** What holds at every revision of the store. */
function expectSound({ hosts: { cluster } }: World): void {
  const of = <T>(folder: string) =>
    new Map(cluster.keys(folder).map((key) => [key, safe(() => cluster.value(key) as T)]));
  const networks = [...of<NetworkRecord>('networks/').values()];
  const vnis = networks.map((record) => record?.network.vni);
  expect(new Set(vnis).size).toBe(vnis.length);
  for (const record of networks) {
    const claim = cluster.value(`vnis/${record?.network.vni}`);
    expect(claim).toMatchObject({ network: record?.network.name });
  }
  for (const [key, record] of of<EndpointRecord>('endpoints/')) {
    const name = key.split('/')[1];
    if (record === undefined) continue;
    for (const address of record.addresses) {
      const owner = cluster.value(`addresses/${name}/${address.split('/')[0]}`);
      expect(owner, key).toMatchObject({ host: record.host, use: 'endpoint' });
    }
  }
}

function safe<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** All hosts know what the store has, and the store has what they announced. */
function expectAgreement(world: World): void {
  const { cluster } = world.hosts;
  const [first] = world.running.values();
  for (const [number, run] of world.running) {
    const { sharing } = run;
    expect(sharing.health.state).toBe('connected');
    expect(sharing.state).toEqual(first?.sharing.state);
    const told = [...sharing.state.endpoints.values()].flatMap((records) =>
      [...records].filter(([, record]) => record.host === run.vtep).map(([id]) => id),
    );
    const wanted = (world.attached.get(number) ?? []).map(({ id }) => id);
    const conflicts = wanted.filter((id) =>
      sharing.health.conflicts.some((conflict) => conflict.startsWith(`${id} `)),
    );
    expect([...told, ...conflicts].sort()).toEqual([...wanted].sort());
  }
  expect(first?.sharing.state.hosts.size).toBe(HOSTS.length);
  const used = new Set(
    [...(first?.sharing.state.endpoints ?? [])].flatMap(([name, records]) =>
      [...records.values()].flatMap(({ addresses }) =>
        addresses.map((address) => `addresses/${name}/${address.split('/')[0]}`),
      ),
    ),
  );
  const idle = cluster
    .keys('addresses/')
    .filter((key) => (cluster.value(key) as AddressRecord).use === 'endpoint' && !used.has(key));
  expect(idle.filter((key) => !world.named.has(key))).toEqual([]);
}

async function play(world: World, steps: readonly Step[]): Promise<void> {
  try {
    for (const number of HOSTS) await world.begin(number);
    await world.hosts.clock.advance(100);
    for (const name of ['a', 'b']) await world.take({ do: 'join', host: 1, network: name });
    for (const next of steps) {
      await world.take(next);
      await world.pass();
    }
    await world.heal();
    if (world.unsound !== undefined) throw world.unsound;
    expectSound(world);
    expectAgreement(world);
    await world.removeAll();
    if (world.unsound !== undefined) throw world.unsound;
    const left = world.hosts.cluster.keys().filter((key) => !/^hosts\/|garbage$/.test(key));
    expect(left).toEqual(['store']);
  } finally {
    await world.hosts.stopAll();
  }
}

const history = fc.array(step, { maxLength: 80, size: 'max' });

it('[O248] any history ends in agreement, and after everything is removed nothing is left', async () => {
  await fc.assert(
    fc.asyncProperty(history, fc.nat(), (steps, seed) => play(new World(seed, false), steps)),
    { numRuns: 40 },
  );
});

it('as long as the store keeps its contents, it is sound at every moment', async () => {
  const keeps = history.map((steps) =>
    steps.filter(({ do: what }) => !/^(empty|wipe)$/.test(what)),
  );
  await fc.assert(
    fc.asyncProperty(keeps, fc.nat(), (steps, seed) => play(new World(seed, true), steps)),
    { numRuns: 40 },
  );
});
