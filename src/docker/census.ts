// Which containers our endpoints belong to. dockerd does not tell a driver, neither names nor that it
// has forgotten an endpoint while one of us was away: so we look, soon after each Join and now and then.

import type { Logger } from 'pino';
import type { Engine, EngineContainer } from './engine.js';
import type { DockerHost } from './host.js';
import type { HostsFiles } from './hostsFiles.js';
import type { Networks } from './networks.js';
import type { Notebook } from './notebook.js';
import type { Releases } from './releases.js';

/** Milliseconds between looks when nothing happens. */
const USUAL_MS = 15_000;
/** From a Join to the first look; each next one doubles it until the container has been seen. */
const SOON_MS = 100;
/** How long an endpoint may have no running container: between Join and the container's start. */
const GRACE_MS = 30_000;
/** Changes of other hosts that come this close together are one. */
const SETTLE_MS = 100;

export interface CensusParts {
  readonly host: DockerHost;
  readonly engine: Engine;
  readonly notebook: Notebook;
  readonly releases: Releases;
  readonly networks: Networks;
  readonly hostsFiles: HostsFiles;
  /** As DeleteEndpoint does. */
  readonly discard: (networkId: string, endpointId: string) => Promise<unknown>;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly log: Logger;
}

/** created -> started -> stopped */
export class Census {
  readonly #parts: CensusParts;
  readonly #absentSince = new Map<string, number>();
  #containers: readonly EngineContainer[] = [];
  #pause = USUAL_MS;
  #timer: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #isAway = false;
  #isStopped = false;

  constructor(parts: CensusParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#parts.host.onChange(() => this.#follow());
    this.soon();
  }

  /** Endpoints or networks of this host have changed. */
  soon(): void {
    this.#pause = SOON_MS;
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#settling);
    await this.#working;
  }

  /** Everything once. Throws ENGINE_AWAY. */
  async look(): Promise<void> {
    const { engine, networks, hostsFiles, releases } = this.#parts;
    this.#containers = await engine.containers();
    await this.#nameEndpoints();
    await this.#discardForgotten();
    await networks.leaveRemoved();
    await hostsFiles.check(this.#containers);
    await releases.settle();
  }

  /** Whether all endpoints of this host have got their names, and nothing is left to give up. */
  get isComplete(): boolean {
    const { host, networks, releases } = this.#parts;
    if (!releases.areSettled || networks.removedButHere.length > 0) return false;
    return host.endpoints().every(({ name }) => name !== undefined);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => this.#run(), this.#pause).unref();
  }

  #run(): void {
    this.#working = this.#working
      .then(() => this.look())
      .then(
        () => this.#tellEngine(undefined),
        (error: Error) => this.#tellEngine(error.message),
      )
      .then(() => {
        this.#pause = this.isComplete ? USUAL_MS : Math.min(2 * this.#pause, USUAL_MS);
        this.#schedule();
      });
  }

  /** In the log, when it comes and when it goes. */
  #tellEngine(away: string | undefined): void {
    const { log } = this.#parts;
    if (away !== undefined && !this.#isAway) log.warn({ detail: away }, 'docker: dockerd is away');
    if (away === undefined && this.#isAway) log.info('docker: dockerd is back');
    this.#isAway = away !== undefined;
  }

  /** What other hosts have changed needs no question to dockerd. */
  #follow(): void {
    const { networks, hostsFiles } = this.#parts;
    if (this.#isStopped) return;
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined;
      this.#working = this.#working.then(async () => {
        await networks.leaveRemoved();
        await hostsFiles.follow(this.#containers);
      });
    }, SETTLE_MS).unref();
  }

  async #nameEndpoints(): Promise<void> {
    const { host, engine } = this.#parts;
    for (const endpoint of host.endpoints()) {
      const container = this.#containers.find(({ endpoints }) => endpoints.includes(endpoint.id));
      if (container === undefined || container.name === endpoint.name) continue;
      try {
        const details = await engine.container(container.id);
        const aliases = details?.aliases.get(endpoint.id) ?? [];
        const others = aliases.filter((alias) => alias !== container.name);
        await host.rename(endpoint.id, container.name, others);
      } catch (error) {
        this.#later(endpoint.id, error);
      }
    }
  }

  async #discardForgotten(): Promise<void> {
    const { host, notebook, discard, now, log } = this.#parts;
    const notes = notebook.notes.endpoints;
    const present = new Set(this.#containers.flatMap(({ endpoints }) => endpoints));
    const ours = new Set([...host.endpoints().map(({ id }) => id), ...notes.keys()]);
    for (const id of this.#absentSince.keys()) {
      if (present.has(id) || !ours.has(id)) this.#absentSince.delete(id);
    }
    for (const id of ours) {
      if (present.has(id)) continue;
      const since = this.#absentSince.get(id) ?? now();
      this.#absentSince.set(id, since);
      if (now() - since < GRACE_MS) continue;
      log.warn({ endpoint: id }, 'docker: removed, for no container has it any more');
      try {
        await discard(notes.get(id)?.networkId ?? '', id);
        this.#absentSince.delete(id);
      } catch (error) {
        this.#later(id, error);
      }
    }
  }

  /** dockerd may be busy with one container, or the kernel with one TAP: the others must not wait. */
  #later(endpoint: string, error: unknown): void {
    const detail = (error as Error).message;
    this.#parts.log.debug({ endpoint, detail }, 'docker: will be looked at again');
  }
}
