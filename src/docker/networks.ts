// Docker's networks and ours: which NetworkID is which network of the overlay.
//
// Hosts share a network by its name. CreateNetwork tells only the ID, and only on the host where the
// command was typed; dockerd names the network when it is asked, as soon as CreateNetwork has returned:
//
//   CreateNetwork -> expect(ID) .. in the background .. resolve(ID)
//   CreateEndpoint or RequestAddress -> resolve(ID), also of a network that another host has made
//   resolve(ID) = name, options and subnets from dockerd -> host.join()

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { SwitchError } from '../model/error.js';
import { parseIp } from '../model/ip.js';
import type { Pool } from '../model/network.js';
import { isPassing, Lanes } from './deadline.js';
import type { Engine, EngineNetwork, Scope } from './engine.js';
import type { DockerHost, DockerNetwork, OverlayNetwork } from './host.js';
import { parseNetworkOptions } from './networkOptions.js';
import type { Notebook, PoolNote } from './notebook.js';

/** Milliseconds between looks for a network that dockerd is making. */
const LOOKS = [20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_000, 5_000];

/** Removed networks that are remembered: far more than can be joined at one moment. */
const REMOVED_MAX = 100;

export interface NetworksParts {
  readonly host: DockerHost;
  readonly engine: Engine;
  readonly notebook: Notebook;
  /** Name of our IPAM driver, as in `--ipam-driver`. */
  readonly driver: string;
  readonly log: Logger;
}

export class Networks {
  readonly #parts: NetworksParts;
  readonly #lanes = new Lanes();
  /** Made by CreateNetwork, and not yet joined. */
  readonly #expected = new Set<string>();
  /** Removed ones that could not be left, and the log knows. */
  readonly #toldOf = new Set<string>();
  readonly #stopped = new AbortController();

  constructor(parts: NetworksParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Joins the network of that ID in the background, when dockerd has made it. */
  expect(id: string): void {
    this.#expected.add(id);
    this.#pursue(id).catch((error: Error) => {
      if (this.#stopped.signal.aborted) return;
      this.#parts.log.warn({ network: id, detail: error.message }, 'docker: cannot join yet');
    });
  }

  /** Throws ENGINE_AWAY, ENGINE_UNKNOWN, and what `DockerHost.join` throws. */
  async resolve(id: string): Promise<OverlayNetwork> {
    const known = this.#known(id);
    if (known !== undefined) return known;
    return this.#lanes.run(id, async () => this.#known(id) ?? (await this.#join(id)));
  }

  /** Docker has removed it; it need not be known. Never rejects: what fails is left by a later `leaveRemoved`. */
  async forget(id: string): Promise<void> {
    this.#expected.delete(id);
    const { notebook } = this.#parts;
    const { removed } = notebook.notes;
    notebook.notes.removed = [...removed.filter((old) => old !== id), id].slice(-REMOVED_MAX);
    await notebook.save();
    await this.#leave(id);
  }

  /**
   * Networks that Docker has removed and that are here all the same: the store could not be told, or another
   * host was joining it at that moment.
   */
  get removedButHere(): readonly string[] {
    const { host, notebook } = this.#parts;
    const here = host.networks().flatMap(({ docker_id }) => docker_id ?? []);
    return here.filter((id) => notebook.notes.removed.includes(id));
  }

  /** Never rejects. */
  async leaveRemoved(): Promise<void> {
    for (const id of this.removedButHere) await this.#leave(id);
  }

  /** `local`: dockerd alone knows the network; names and addresses of other hosts come from us. */
  scopeOf(id: string): Scope {
    return this.#known(id)?.docker_scope ?? this.#parts.notebook.notes.scope ?? 'local';
  }

  #leave(id: string): Promise<void> {
    const { host, log } = this.#parts;
    return this.#lanes.run(id, async () => {
      const name = this.#known(id)?.name;
      if (name === undefined) return;
      try {
        await host.leave(name);
      } catch (error) {
        const level = this.#toldOf.has(id) ? 'debug' : 'warn';
        log[level]({ network: name, detail: (error as Error).message }, 'docker: not left yet');
        this.#toldOf.add(id);
      }
    });
  }

  #known(id: string): OverlayNetwork | undefined {
    return this.#parts.host.networks().find(({ docker_id }) => docker_id === id);
  }

  async #pursue(id: string): Promise<void> {
    const { signal } = this.#stopped;
    let failure: unknown;
    for (const pause of LOOKS) {
      await delay(pause, undefined, { signal, ref: false });
      if (!this.#expected.has(id)) return;
      try {
        await this.resolve(id);
        this.#expected.delete(id);
        return;
      } catch (error) {
        failure = error;
        const early = error instanceof SwitchError && error.code === 'ENGINE_UNKNOWN';
        if (!early && !isPassing(error)) break;
      }
    }
    this.#expected.delete(id);
    throw failure;
  }

  async #join(id: string): Promise<OverlayNetwork> {
    const { host, engine, notebook } = this.#parts;
    const found = await engine.network(id);
    if (found === undefined) throw new SwitchError('ENGINE_UNKNOWN', `network ${id.slice(0, 12)}`);
    const { name, scope } = found;
    const options = parseNetworkOptions(found.options);
    await this.#leaveForerunner(name, id);
    const pools = [...notebook.notes.pools.values()].filter((pool) => pool.networkId === id);
    const wish = { name, scope, id, ...options };
    const joined = await this.#joinWith(wish, this.#subnets(found, pools));
    await this.#reserve(joined, pools);
    this.#tellDifference(found, joined);
    return host.networks().find((network) => network.name === name) ?? joined;
  }

  /**
   * A network that Docker removed while we did not run still has its name here. Only the sight of its
   * successor is proof: with its cluster store away, dockerd knows no network at all.
   */
  async #leaveForerunner(name: string, id: string): Promise<void> {
    const { host, engine } = this.#parts;
    const old = host.networks().find((network) => network.name === name)?.docker_id;
    if (old === undefined || old === id || (await engine.network(old)) !== undefined) return;
    await host.leave(name);
  }

  /** What the user said about subnets, and what Docker only shows because it had to show something. */
  #subnets(found: EngineNetwork, pools: readonly PoolNote[]): Subnets {
    const { driver } = this.#parts;
    const stranger = pools.find(({ network }) => network !== undefined && network !== found.name);
    if (stranger !== undefined) {
      throw new SwitchError('NETWORK_MISMATCH', found.name, {
        why: `it was made with --ipam-opt network=${stranger.network}`,
        fix: 'make it again, with its own name in --ipam-opt',
      });
    }
    if (pools.length > 0) {
      return {
        said: pools.filter(({ explicit }) => explicit).map(poolOf),
        shown: pools.filter(({ explicit }) => !explicit).map(poolOf),
      };
    }
    // Each host's own IPAM gives from its own range.
    const shown = found.pools.map(({ subnet, gateway }): Pool => ({ subnet, gateway }));
    return found.ipamDriver === driver ? { said: [], shown } : { said: shown, shown: [] };
  }

  async #joinWith(
    wish: Omit<DockerNetwork, 'pools'>,
    { said, shown }: Subnets,
  ): Promise<OverlayNetwork> {
    const { host } = this.#parts;
    const asItIs = said.length > 0 ? said : ('auto' as const);
    const exists = host.networks().some(({ name }) => name === wish.name);
    if (exists || shown.length === 0) return host.join({ ...wish, pools: asItIs });
    try {
      return await host.join({ ...wish, pools: [...said, ...shown] });
    } catch (error) {
      // Another host was first, and was shown another subnet.
      if (!(error instanceof SwitchError) || error.code !== 'NETWORK_MISMATCH') throw error;
      return host.join({ ...wish, pools: asItIs });
    }
  }

  /** `--aux-address`: whoever has it already may keep it. */
  async #reserve(network: OverlayNetwork, pools: readonly PoolNote[]): Promise<void> {
    const { host, log } = this.#parts;
    for (const address of pools.flatMap(({ reserved }) => reserved)) {
      const ip = parseIp(address.split('/', 1)[0] ?? '');
      if (ip === undefined) continue;
      try {
        await host.reserve(network.name, { ...ip, use: 'reserved' });
      } catch (error) {
        const detail = (error as Error).message;
        log.warn({ network: network.name, address, detail }, 'docker: not reserved');
      }
    }
  }

  #tellDifference(found: EngineNetwork, joined: OverlayNetwork): void {
    const ours = new Set(joined.pools.map(({ subnet }) => subnet));
    const wrong = found.pools.filter(({ subnet }) => !ours.has(subnet));
    if (wrong.length === 0) return;
    const shown = wrong.map(({ subnet }) => subnet).join(' ');
    this.#parts.log.warn(
      { network: found.name, shown, real: [...ours].join(' ') },
      'docker: `docker network inspect` shows another subnet than the one that all hosts share',
    );
  }
}

interface Subnets {
  readonly said: readonly Pool[];
  readonly shown: readonly Pool[];
}

function poolOf({ subnet, gateway, range }: PoolNote): Pool {
  return { subnet, gateway, range };
}
