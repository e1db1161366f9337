/** An overlay on a fake host with a fake store: no files, no clock. */

import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { vtepSchema } from '../../src/config/fileSchema.js';
import { networkRequestSchema, networkSchema, portSchema } from '../../src/config/networkSchema.js';
import { configOfVtep } from '../../src/config/parse.js';
import { Datapath } from '../../src/datapath/datapath.js';
import type { NetworkSpec } from '../../src/datapath/seam.js';
import { SwitchError } from '../../src/model/error.js';
import type { Network, Port } from '../../src/model/network.js';
import { ContainerEdits } from '../../src/overlay/containerEdits.js';
import { NetworkEdits } from '../../src/overlay/networkEdits.js';
import { Overlay } from '../../src/overlay/overlay.js';
import { PortEdits } from '../../src/overlay/portEdits.js';
import { Reconciler } from '../../src/overlay/reconcile.js';
import { emptyState, type RuntimeState } from '../../src/store/runtimeState.js';
import { FakeHost } from './fakeDatapath.js';
import { FakeSharing } from './fakeSharing.js';

export const SELF = '10.200.0.1';

export class FakeOverlay {
  readonly host = new FakeHost();
  readonly sharing = new FakeSharing(SELF);
  readonly log: string[] = [];
  readonly datapath = new Datapath(this.host.addon);
  readonly overlay: Overlay;
  readonly networks: NetworkEdits;
  readonly ports: PortEdits;
  readonly containers: ContainerEdits;
  saved: RuntimeState;
  /** Unix milliseconds. */
  now = 0;
  diskFull = false;

  constructor(file: readonly object[] = [], saved: Partial<RuntimeState> = {}) {
    this.saved = { ...emptyState, ...saved };
    const log = pino({ base: null }, { write: (line) => void this.log.push(JSON.parse(line).msg) });
    const { datapath, host } = this;
    const base = {
      ...{ vtep: vtepSchema.parse({ address: SELF }), owner: '/run/x.sock', hasFile: true },
      datapath: configOfVtep(SELF).config.datapath,
      ...{ file: file.map((item) => networkSchema.parse(item)), underlayMtu: 1500 },
    };
    this.overlay = new Overlay(base, this.saved, {
      reconciler: new Reconciler({
        ...{ datapath, log, namespaces: host.namespaceAt, now: () => this.now },
      }),
      sharing: this.sharing,
      prepare: async (state) => ({
        commit: async () => {
          if (this.diskFull) throw new SwitchError('STATE_UNWRITABLE', 'x');
          this.saved = state;
        },
        discard: async () => {},
      }),
      ...{ log, now: () => this.now },
    });
    this.ports = new PortEdits(this.overlay, host.namespaceAt);
    this.networks = new NetworkEdits(this.overlay, this.ports);
    this.containers = new ContainerEdits({ overlay: this.overlay, datapath, log });
  }

  static async started(...args: ConstructorParameters<typeof FakeOverlay>): Promise<FakeOverlay> {
    const fake = new FakeOverlay(...args);
    onTestFinished(() => fake.overlay.stop());
    await fake.overlay.start();
    fake.containers.watch();
    return fake;
  }

  addNetwork(settings: object): Promise<Network> {
    return this.networks.add(networkRequestSchema.parse(settings));
  }

  addPort(network: string, settings: { readonly name: string }): Promise<Port> {
    return this.ports.add(network, portSchema.parse(settings));
  }

  /** The network as the datapath has it. */
  running(network: string): NetworkSpec | undefined {
    return this.host.datapath?.desired?.networks.find(({ name }) => name === network);
  }
}
