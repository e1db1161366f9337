/** Hosts that share through one store in memory, under one manual clock. */

import { pino } from 'pino';
import { networkSchema } from '../../src/config/networkSchema.js';
import type { LocalEndpoint, NetworkWish } from '../../src/overlay/shared.js';
import type { Occupied } from '../../src/overlay/sharing/networks.js';
import { StoreSharing } from '../../src/overlay/sharing/storeSharing.js';
import { ManualClock } from './manualClock.js';
import { MemoryCluster, MemoryStore } from './memoryStore.js';

/** One run of a host's daemon, as far as it shares. */
export interface SharedHostRun {
  readonly vtep: string;
  readonly sharing: StoreSharing;
  readonly store: MemoryStore;
  /** What was logged. */
  readonly lines: string[];
}

export interface RunOptions {
  readonly machine?: string;
  readonly occupied?: Partial<Occupied>;
  readonly port?: number;
  /** Milliseconds by which its clocks are ahead of the store's. */
  readonly skew?: number;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

export class SharedHosts {
  readonly clock = new ManualClock();
  readonly cluster = new MemoryCluster(this.clock);
  readonly runs = new Set<SharedHostRun>();

  /** Starts the host's daemon; its machine is the same at every start unless told otherwise. */
  async start(number: number, options: RunOptions = {}): Promise<SharedHostRun> {
    const run = this.prepare(number, options);
    await this.clock.during(run.sharing.start());
    await this.clock.advance(50);
    return run;
  }

  prepare(number: number, options: RunOptions = {}): SharedHostRun {
    const vtep = `10.200.0.${number}`;
    const store = new MemoryStore(this.cluster);
    const lines: string[] = [];
    const { machine = `machine-${number}`, port = 4789, skew = 0 } = options;
    const { clock } = this;
    const sharing = new StoreSharing({
      store,
      self: { address: vtep, port, name: `h${number}`, machine },
      log: pino({ level: 'info' }, { write: (line) => void lines.push(line) }),
      clock: {
        now: () => clock.now() + skew,
        date: () => clock.date() + skew,
        sleep: (ms, signal) => clock.sleep(ms, signal),
      },
      occupied: () => ({ subnets: [], vnis: [], ...options.occupied }),
      random: options.random ?? (() => 0),
    });
    const run = { vtep, sharing, store, lines };
    this.runs.add(run);
    return run;
  }

  /** As SIGKILL: nothing is told, nothing goes on. */
  async kill(run: SharedHostRun): Promise<void> {
    this.runs.delete(run);
    run.store.set({ down: true });
    await this.clock.during(run.sharing.stop());
  }

  async stopAll(): Promise<void> {
    for (const run of [...this.runs]) await this.kill(run);
  }
}

export function wish(
  name: string,
  more: Partial<NetworkWish> & { vni?: number } = {},
): NetworkWish {
  const { vni, ...rest } = more;
  const { vni: _, ...network } = networkSchema.parse({ name, vni: 1 });
  return {
    network: { ...network, ...(vni !== undefined && { vni }) },
    pools: 'auto',
    owner: 'people',
    ...rest,
  };
}

export function endpoint(
  network: string,
  id: string,
  address: string,
  more: Partial<LocalEndpoint> = {},
): LocalEndpoint {
  const [ip = ''] = address.split('/');
  const bytes = ip.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
  return {
    network,
    id,
    mac: `02:42:${bytes.join(':')}`,
    addresses: [address],
    aliases: [],
    ...more,
  };
}
