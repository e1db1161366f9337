/**
 * Whatever is added, removed, lost and found, in whatever order: the switch runs what a fresh start
 * with the same settings would run, and the host has the TAPs that the settings say.
 */

import fc from 'fast-check';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { vtepSchema } from '../../src/config/fileSchema.js';
import {
  fdbSchema,
  networkRequestSchema,
  networkSchema,
  portSchema,
} from '../../src/config/networkSchema.js';
import { Datapath } from '../../src/datapath/datapath.js';
import { SwitchError } from '../../src/model/error.js';
import type { DatapathSettings } from '../../src/model/network.js';
import { ifnameOf } from '../../src/model/network.js';
import { NetworkEdits } from '../../src/overlay/networkEdits.js';
import { Overlay } from '../../src/overlay/overlay.js';
import { PortEdits } from '../../src/overlay/portEdits.js';
import { Reconciler } from '../../src/overlay/reconcile.js';
import type { Base } from '../../src/overlay/settings.js';
import { StaticEdits } from '../../src/overlay/staticEdits.js';
import { emptyState, type RuntimeState } from '../../src/store/runtimeState.js';
import { fewNames, peerIp } from '../support/arbitrary.js';
import { FakeHost } from '../support/fakeDatapath.js';
import { FakeSharing } from '../support/fakeSharing.js';

const SPACES = ['s1', 's2', 's3'];
const space = fc.constantFrom(...SPACES);
const fewMacs = fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02', '00:00:00:00:00:00');

type Step =
  | {
      readonly do: 'addNetwork' | 'removeNetwork';
      readonly name: string;
      readonly vni: number | undefined;
    }
  | {
      readonly do: 'addPort';
      readonly network: string;
      readonly name: string;
      readonly netns: string | undefined;
    }
  | { readonly do: 'removePort' | 'gone' | 'break' | 'mend'; readonly name: string }
  | { readonly do: 'addPeer' | 'removePeer'; readonly network: string; readonly address: string }
  | {
      readonly do: 'addFdb' | 'replaceFdb' | 'removeFdb';
      readonly network: string;
      readonly mac: string;
      readonly to: object;
    }
  | { readonly do: 'vanish' | 'appear'; readonly space: string }
  | {
      readonly do: 'refresh' | 'diskFull' | 'diskFree' | 'storeAway' | 'storeBack' | 'remote';
    };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constantFrom('addNetwork' as const, 'removeNetwork' as const),
    name: fewNames,
    vni: fc.option(fc.integer({ min: 255, max: 259 }), { nil: undefined }),
  }),
  fc.record({
    do: fc.constant('addPort' as const),
    network: fewNames,
    name: fewNames,
    netns: fc.option(space, { nil: undefined }),
  }),
  fc.record({
    do: fc.constantFrom('removePort' as const, 'gone' as const, 'break' as const, 'mend' as const),
    name: fewNames,
  }),
  fc.record({
    do: fc.constantFrom('addPeer' as const, 'removePeer' as const),
    network: fewNames,
    address: peerIp,
  }),
  fc.record({
    do: fc.constantFrom('addFdb' as const, 'replaceFdb' as const, 'removeFdb' as const),
    network: fewNames,
    mac: fewMacs,
    to: fc.oneof(
      peerIp.map((vtep) => ({ vtep })),
      fewNames.map((port) => ({ port })),
      fc.constant({ local: true }),
    ),
  }),
  fc.record({ do: fc.constantFrom('vanish' as const, 'appear' as const), space }),
  fc.record({
    do: fc.constantFrom(
      ...(['refresh', 'diskFull', 'diskFree', 'storeAway', 'storeBack', 'remote'] as const),
    ),
  }),
);

const auto = { udp_gso: 'auto', udp_gro: 'auto', vnet_hdr: 'auto' } as const;
const more = { multi_queue: 'auto', recvmmsg: 'auto', sendmmsg: 'auto', spin: 'auto' } as const;
const datapath: DatapathSettings = {
  workers: 'auto',
  underlay: 'auto',
  features: { ...auto, ...more },
};
const file = [
  networkSchema.parse({
    name: 'a',
    vni: 256,
    peers: ['10.200.0.2'],
    ports: [{ name: 'a', netns: 's1' }],
  }),
];
const base: Base = {
  ...{ vtep: vtepSchema.parse({ address: '10.200.0.1' }), datapath, owner: '/run/x.sock' },
  ...{ underlayMtu: 1500, file, hasFile: true },
};

const REMOTE_MAC = '02:00:00:00:00:09';

class World {
  readonly host = new FakeHost();
  readonly overlay: Overlay;
  readonly sharing = new FakeSharing('10.200.0.1');
  readonly #networks: NetworkEdits;
  readonly #ports: PortEdits;
  readonly #statics: StaticEdits;
  readonly reconciler: Reconciler;
  saved: RuntimeState = emptyState;
  #diskFull = false;
  #spaces = 0;
  #now = 0;

  constructor() {
    const log = pino({ level: 'silent' });
    const parts = {
      datapath: new Datapath(this.host.addon),
      namespaces: this.host.namespaceAt,
      log,
      now: () => this.#now,
    };
    this.reconciler = new Reconciler(parts);
    this.overlay = new Overlay(base, emptyState, {
      reconciler: this.reconciler,
      sharing: this.sharing,
      log,
      now: () => 0,
      prepare: async (state) => ({
        // Late, so that the switch has to go back.
        commit: async () => {
          if (this.#diskFull) throw new SwitchError('STATE_UNWRITABLE', 'x');
          this.saved = state;
        },
        discard: async () => {},
      }),
    });
    this.#ports = new PortEdits(this.overlay, this.host.namespaceAt);
    this.#networks = new NetworkEdits(this.overlay, this.#ports);
    this.#statics = new StaticEdits(this.overlay);
  }

  /** So late that everything is tried again. */
  refresh(): Promise<void> {
    this.#now += 60_000;
    return this.reconciler.refresh();
  }

  async take(next: Step): Promise<void> {
    const { overlay, host } = this;
    switch (next.do) {
      case 'addNetwork':
        await this.#networks.add(networkRequestSchema.parse({ name: next.name, vni: next.vni }));
        return;
      case 'removeNetwork':
        await this.#networks.remove(next.name);
        return;
      case 'addPort': {
        const { name, netns } = next;
        await this.#ports.add(next.network, portSchema.parse({ name, ...(netns && { netns }) }));
        return;
      }
      case 'removePort':
        await this.#ports.remove(next.name);
        return;
      case 'addPeer':
        return this.#statics.addPeer(next.network, { address: next.address });
      case 'removePeer':
        return this.#statics.removePeer(next.network, { address: next.address });
      case 'addFdb':
        return this.#statics.addFdb(next.network, fdbSchema.parse({ mac: next.mac, ...next.to }));
      case 'replaceFdb':
        return this.#statics.replaceFdb(
          next.network,
          fdbSchema.parse({ mac: next.mac, ...next.to }),
        );
      case 'removeFdb':
        return this.#statics.removeFdb(
          next.network,
          fdbSchema.parse({ mac: next.mac, local: true }).mac,
        );
      case 'vanish':
        host.namespaces.delete(`/run/netns/${next.space}`);
        return;
      case 'appear':
        host.namespaces.set(`/run/netns/${next.space}`, `${next.space} ${this.#spaces++}`);
        return;
      case 'break':
        host.broken.set(next.name, 'TAP_BUSY');
        return;
      case 'mend':
        host.broken.delete(next.name);
        return;
      case 'gone':
        overlay.portGone(next.name);
        return;
      case 'diskFull':
      case 'diskFree':
        this.#diskFull = next.do === 'diskFull';
        return;
      case 'storeAway':
      case 'storeBack':
        this.sharing.become({}, { state: next.do === 'storeAway' ? 'degraded' : 'connected' });
        return;
      case 'remote':
        this.sharing.host('10.200.0.9', 'b', { mac: REMOTE_MAC, addresses: [], aliases: [] });
        return;
      case 'refresh':
        return this.refresh();
      default:
        next satisfies never;
    }
  }
}

/** What a start from nothing with the same host and settings would run. */
async function freshStart(world: World): Promise<unknown> {
  const host = new FakeHost();
  for (const [path, id] of world.host.namespaces) host.namespaces.set(path, id);
  for (const [port, code] of world.host.broken) host.broken.set(port, code);
  const log = pino({ level: 'silent' });
  const reconciler = new Reconciler({
    datapath: new Datapath(host.addon),
    namespaces: host.namespaceAt,
    log,
    now: () => 0,
  });
  const overlay = new Overlay(base, world.saved, {
    reconciler,
    sharing: world.sharing,
    now: () => 0,
    prepare: async () => ({ commit: async () => {}, discard: async () => {} }),
    log,
  });
  await overlay.start();
  await overlay.stop();
  return host.datapath?.desired;
}

it('any history leads to what a fresh start would run', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const world = new World();
      await world.overlay.start();
      try {
        for (const next of steps) {
          const before = JSON.stringify(world.saved);
          try {
            await world.take(next);
          } catch (error) {
            // Refused is fine, but then nothing was saved and it is no bug of ours.
            expect(error).toBeInstanceOf(SwitchError);
            expect(['INTERNAL', 'BAD_VALUE']).not.toContain((error as SwitchError).code);
            expect(JSON.stringify(world.saved)).toBe(before);
          }
        }
        // Ports that were broken while they ran still run: they would only fail when opened anew.
        world.host.broken.clear();
        await world.refresh();
        await world.refresh();
        expect(world.host.datapath?.desired).toEqual(await freshStart(world));
        expectTaps(world);
      } finally {
        await world.overlay.stop();
      }
    }),
    { numRuns: 200 },
  );
});

/** Every running port has its TAP where its namespace is now, and every living TAP has a port. */
function expectTaps({ host, overlay }: World): void {
  const placeOf = (path: string | undefined) =>
    path === undefined ? undefined : host.namespaces.get(path);
  const ports = overlay.networks.flatMap((network) => network.ports);
  const running = ports.filter((port) => overlay.portCondition(port.name)?.state === 'attached');
  const paths = (netns: string | undefined) =>
    netns === undefined ? undefined : `/run/netns/${netns}`;
  const wanted = running.map((port) => `${placeOf(paths(port.netns)) ?? ''} ${ifnameOf(port)}`);
  const alive = host.taps.filter(
    (tap) => tap.namespace === undefined || [...host.namespaces.values()].includes(tap.namespace),
  );
  expect(alive.map((tap) => `${tap.namespace ?? ''} ${tap.ifname}`).sort()).toEqual(wanted.sort());
}
