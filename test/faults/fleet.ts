/** Many simulated hosts, each with its own connection to a real store, and what is attached to them. */

import { pino } from 'pino';
import { remoteOf } from '../../src/overlay/remote.js';
import type { LocalEndpoint } from '../../src/overlay/shared.js';
import { systemClock } from '../../src/overlay/sharing/clock.js';
import { StoreSharing } from '../../src/overlay/sharing/storeSharing.js';
import type { Store } from '../../src/store/store.js';
import { openRemote } from '../store/remote.js';
import { disagreements, type HostTables } from '../support/agreement.js';
import { eventually } from '../support/eventually.js';
import type { Scope } from '../support/scope.js';
import { endpoint } from '../support/sharedHosts.js';

export class FleetHost {
  readonly vtep: string;
  readonly store: Store;
  readonly sharing: StoreSharing;
  /** As its containers would have it. */
  attached: readonly LocalEndpoint[] = [];
  #count = 0;

  constructor(number: number, store: Store) {
    this.vtep = `10.200.${Math.floor(number / 250)}.${(number % 250) + 1}`;
    this.store = store;
    this.sharing = new StoreSharing({
      store,
      self: { address: this.vtep, port: 4789, name: `h${number}`, machine: `machine-${number}` },
      log: pino({ level: 'silent' }),
      clock: systemClock,
      occupied: () => ({ subnets: [], vnis: [] }),
      random: Math.random,
    });
  }

  /** A container comes. */
  async attach(network: string): Promise<LocalEndpoint> {
    const address = await this.sharing.reserve(network, { family: 4, use: 'endpoint' });
    this.#count += 1;
    const added = endpoint(network, `${this.vtep}/c${this.#count}`, address);
    this.attached = [...this.attached, added];
    this.sharing.announce(this.attached);
    return added;
  }

  /** The container that came first goes. */
  detach(): void {
    this.attached = this.attached.slice(1);
    this.sharing.announce(this.attached);
  }

  /** What the host's switch would be told, in every network that the host uses. */
  tables(): HostTables {
    const names = [...new Set(this.attached.map(({ network }) => network))];
    const views = names.map((name) => ({
      name,
      view: remoteOf(this.sharing.state, name, this.vtep),
    }));
    return {
      vtep: this.vtep,
      networks: views.map(({ name, view }) => ({
        ...{ name, source: 'store', ports: ['one'] },
        peers: view.vteps.map(({ address }) => ({ address, origin: 'control' })),
      })),
      fdb: views.flatMap(({ name, view }) =>
        view.stations
          .filter(({ state }) => state === 'live')
          .map(({ mac, vtep, udpPort }) => ({
            ...{ network: name, origin: 'control', mac, vtep, udp_port: udpPort },
          })),
      ),
      neighbors: views.flatMap(({ name, view }) => [
        ...view.stations.flatMap(({ mac, ips, state, vtep }) =>
          ips.map((ip) => ({ network: name, ip, mac, state, vtep })),
        ),
        ...view.local.flatMap(({ mac, ips }) =>
          ips.map((ip) => ({ network: name, ip, mac, state: 'local' })),
        ),
      ]),
    };
  }
}

export class Fleet {
  readonly hosts: readonly FleetHost[];

  private constructor(hosts: readonly FleetHost[]) {
    this.hosts = hosts;
  }

  /** One host for each store setting; all know each other. */
  static async start(scope: Scope, settings: readonly unknown[]): Promise<Fleet> {
    const hosts: FleetHost[] = [];
    for (const [number, setting] of settings.entries()) {
      const host = new FleetHost(number, await openRemote(scope, setting));
      await scope.defer(`host ${host.vtep}`, () => host.sharing.stop());
      hosts.push(host);
    }
    await Promise.all(hosts.map(({ sharing }) => sharing.start()));
    const fleet = new Fleet(hosts);
    await eventually('all hosts know each other', () =>
      hosts.every(({ sharing }) => sharing.state.hosts.size === hosts.length),
    );
    return fleet;
  }

  host(number: number): FleetHost {
    const host = this.hosts[number];
    if (host === undefined) throw new RangeError(`no host ${number}`);
    return host;
  }

  /**
   * Waits until every host's tables are what the store says, and the store has exactly what is attached;
   * gives the milliseconds that it took. Throws with the differences.
   */
  async agreed(within = 60_000): Promise<number> {
    const start = performance.now();
    await eventually(
      'all hosts agree with the store',
      async () => {
        const differences = await this.#differences();
        if (differences.length > 0) throw new Error(differences.slice(0, 10).join('\n'));
        return true;
      },
      { within, every: 100 },
    );
    return Math.round(performance.now() - start);
  }

  /** Bytes over all connections. */
  traffic(): { readonly sent: number; readonly received: number } {
    const all = this.hosts.map(({ store }) => store.traffic());
    const sum = (pick: (one: (typeof all)[number]) => number) =>
      all.reduce((total, one) => total + pick(one), 0);
    return { sent: sum(({ sent }) => sent), received: sum(({ received }) => received) };
  }

  async #differences(): Promise<string[]> {
    const { entries } = await this.host(0).store.snapshot();
    const values = new Map([...entries].map(([key, { value }]) => [key, value]));
    const told = [...values.keys()].filter((key) => key.startsWith('endpoints/')).sort();
    const wanted = this.hosts
      .flatMap(({ attached }) => attached.map(({ network, id }) => `endpoints/${network}/${id}`))
      .sort();
    const given = [...values.keys()].filter((key) => key.startsWith('addresses/'));
    return [
      ...wanted.filter((key) => !told.includes(key)).map((key) => `not in the store: ${key}`),
      ...told.filter((key) => !wanted.includes(key)).map((key) => `only in the store: ${key}`),
      ...(given.length === wanted.length ? [] : [`${given.length} addresses are given`]),
      ...this.hosts.flatMap(({ vtep, sharing }) => {
        const known = this.hosts.filter(
          (other) => sharing.state.hosts.get(other.vtep)?.state === 'live',
        );
        const { state } = sharing.health;
        return [
          ...(state === 'connected' ? [] : [`${vtep} is ${state}`]),
          ...(known.length === this.hosts.length ? [] : [`${vtep} knows ${known.length} hosts`]),
        ];
      }),
      ...this.hosts.flatMap((host) =>
        disagreements(values, host.tables()).map((text) => `${host.vtep}: ${text}`),
      ),
    ];
  }
}
