/**
 * A daemon that is nothing but what it answers: the page's tests set it up, and its clock goes on by one second with
 * each look at the counters, whatever the time is. So rates are what a test says they are.
 */

import type { CaptureRequest, CapturingView } from '../../src/control/captureApi.js';
import type { HistoryQuery, HistoryView } from '../../src/control/historyApi.js';
import type { TraceAsked, TraceView } from '../../src/control/traceApi.js';
import type {
  CountersView,
  DropView,
  EndpointView,
  FdbView,
  HostView,
  NeighborView,
  NetworkCountersView,
  NetworkView,
  PortView,
  StatusView,
  VtepView,
} from '../../src/control/views.js';
import { SwitchError } from '../../src/model/error.js';
import type { PageOperations } from '../../src/page/server.js';

type PortCountersView = NetworkCountersView['ports'][number];

/** What goes through a port or tunnel, per second. */
export interface Flow {
  readonly rx_bytes?: number;
  readonly tx_bytes?: number;
  readonly rx_frames?: number;
  readonly tx_frames?: number;
  /** Reason -> frames. */
  readonly drops?: Readonly<Record<string, number>>;
}

export interface SceneryNetwork {
  readonly name: string;
  readonly vni: number;
  readonly ports?: readonly (Partial<PortView> & { readonly name: string })[];
  /** VTEP addresses. */
  readonly peers?: readonly string[];
  readonly pathMtu?: number;
}

export class Scenery implements PageOperations {
  started = Date.parse('2026-11-21T09:00:00Z');
  /** Of the flows that are counted so far. */
  seconds = 60;
  /** Seconds that pass by its clock for each of those. */
  pace = 1;
  #now = 60;
  network_list: SceneryNetwork[] = [];
  /** `NETWORK PORT`, tunnels as in the counters -> what goes through it. */
  readonly flows = new Map<string, Flow>();
  readonly reasons: DropView[] = [
    reason('rx.vni_unknown', 'underlay', 'No network here has this VNI.'),
    reason('rx.src_mac_zero', 'ingress', 'The source MAC is all zero.'),
    reason('tx.too_big', 'egress', 'It does not fit the path to the VTEP.'),
  ];
  vteps: VtepView[] = [];
  fdb_list: FdbView[] = [];
  endpoint_list: EndpointView[] = [];
  neighbor_list: NeighborView[] = [];
  host_list: HostView[] = [];
  lines: HistoryView['lines'] = [];
  warnings: string[] = [];
  state: StatusView['state'] = 'ok';
  readonly traced: { readonly network: string; readonly asked: TraceAsked }[] = [];
  tracing: TraceView | undefined;
  readonly captured: CaptureRequest[] = [];

  status(): StatusView {
    const ports = this.ports();
    const count = (state: PortView['state']) => ports.filter((port) => port.state === state).length;
    return {
      ...{ version: '0.0.0', pid: 1, state: this.state, started_at: this.#time(0) },
      ...{ socket: '/run/vswitchd/control.sock', vtep: { address: OWN, port: 4789 } },
      underlay_mtu: 1500,
      store: { name: 'etcd', state: 'connected', since: this.#time(0), garbage: 0, conflicts: [] },
      workers: 1,
      networks: this.network_list.length,
      ports: { up: count('up'), waiting: count('waiting'), gone: count('gone') },
      peers: this.vteps.length,
      warnings: this.warnings,
    };
  }

  async metrics(): Promise<string> {
    return '';
  }

  networks(): NetworkView[] {
    return this.network_list.map(({ name, vni, peers = [], pathMtu }) => ({
      ...{ name, vni, port: 4789, subnet: '10.0.0.0/24', mtu: 1450, up: true, open: false },
      ...{ source: 'file', pools: [], members: [], settings: {} },
      peers: peers.map((address) => ({
        ...{ address, port: 4789, vni, origin: 'static' as const },
        ...(pathMtu !== undefined && { path_mtu: pathMtu }),
      })),
      ports: this.ports().filter(({ network }) => network === name),
    }));
  }

  network(name: string): NetworkView {
    const found = this.networks().find((network) => network.name === name);
    if (found === undefined) throw new SwitchError('NETWORK_UNKNOWN', name);
    return found;
  }

  ports(): PortView[] {
    return this.network_list.flatMap(({ name: network, ports = [] }) =>
      ports.map((port) => ({
        ...{ network, kind: 'tap', source: 'file', state: 'up', netns: port.name, ifname: 'eth0' },
        ...{ mac: '02:42:0a:00:00:01', mtu: 1450, addresses: ['10.0.0.1/24'], secured: false },
        ...port,
      })),
    );
  }

  counters(): CountersView {
    this.seconds += 1;
    this.#now += this.pace;
    const networks = this.network_list.map((network) => this.#networkCounters(network));
    const drops = this.#dropsOf(this.flows.get('underlay'));
    return {
      at: this.#time(this.#now),
      started_at: this.#time(0),
      workers: [{ turns: 0, sleeps: 0, busy_us: 0, rx_frames: 0, tx_frames: 0, drops: [] }],
      underlay: {
        ...{ datagrams: 0, retired: 0, drops, notes: [], source_ports: [50_000] },
        ...{ receive_buffer: 4096, path: 'udp', missing: 0 },
      },
      networks,
      vteps: this.vteps,
      balanced: true,
    };
  }

  drops(): DropView[] {
    const flows = [...this.flows.values()];
    return this.reasons.map((known) => ({
      ...known,
      frames:
        flows.reduce((sum, { drops }) => sum + (drops?.[known.reason] ?? 0), 0) * this.seconds,
    }));
  }

  fdb(): FdbView[] {
    return this.fdb_list;
  }

  pastFdb(): FdbView[] {
    return this.fdb_list;
  }

  endpoints(): EndpointView[] {
    return this.endpoint_list;
  }

  neighbors(): NeighborView[] {
    return this.neighbor_list;
  }

  hosts(): HostView[] {
    return this.host_list;
  }

  history({ mac, from = 0 }: HistoryQuery): HistoryView {
    return {
      complete_since: this.#time(0),
      lines: this.lines.filter(({ seq, ...line }) => seq >= from && (mac ?? line.mac) === line.mac),
      next: this.lines.reduce((next, { seq }) => Math.max(next, seq + 1), from),
    };
  }

  trace(network: string, asked: TraceAsked): TraceView {
    this.traced.push({ network, asked });
    if (this.tracing === undefined) throw new SwitchError('PORT_UNKNOWN', asked.port ?? '');
    return this.tracing;
  }

  async capture(request: CaptureRequest): Promise<CapturingView> {
    this.captured.push(request);
    throw new SwitchError('BAD_FILTER', 'tpc port 80');
  }

  #networkCounters({ name, vni, ports = [], peers = [], pathMtu }: SceneryNetwork) {
    const none = { frames: 0, rx_frames: 0, tx_frames: 0, drops: [], notes: [] };
    return {
      ...{ name, vni, retired: none, drops: [] },
      ports: [
        ...ports.map((port) => this.#portCounters(name, port.name, 'tap')),
        ...peers.map((address) => ({
          ...this.#portCounters(name, tunnelTo(address), 'tunnel'),
          ...(pathMtu !== undefined && { path_mtu: pathMtu }),
        })),
      ],
      ...{ unicast: 0, flooded: 0, replicated: 0, generated: 0, consumed: 0 },
      fdb: { macs: this.fdb_list.length, learned: 0, moved: 0, aged: 0, evicted: 0, full: 0 },
      reserved_bits_ignored: 0,
      ecn: { odd: 0, nonip: 0 },
      balance: {
        ...{ in: 0, out: 0, consumed: 0, ingress_drops: 0, egress_drops: 0 },
        ...{ ingress_missing: 0, egress_missing: 0 },
      },
    };
  }

  #portCounters(network: string, name: string, kind: PortCountersView['kind']): PortCountersView {
    const flow = this.flows.get(`${network} ${name}`);
    const counted = (rate = 0) => rate * this.seconds;
    return {
      ...{ name, kind, state: 'up', macs: 1, unreachable: 0, notes: [] },
      rx_frames: counted(flow?.rx_frames),
      rx_bytes: counted(flow?.rx_bytes),
      tx_frames: counted(flow?.tx_frames),
      tx_bytes: counted(flow?.tx_bytes),
      drops: this.#dropsOf(flow),
    };
  }

  #dropsOf(flow: Flow | undefined): DropView[] {
    return this.reasons
      .map((known) => ({ ...known, frames: (flow?.drops?.[known.reason] ?? 0) * this.seconds }))
      .filter(({ frames }) => frames > 0);
  }

  #time(seconds: number): string {
    return new Date(this.started + seconds * 1000).toISOString();
  }
}

export function tunnelTo(address: string): string {
  return address.includes(':') ? `[${address}]:4789` : `${address}:4789`;
}

export const OWN = '10.200.0.1';

/** Two networks, three hosts of which one is silent, traffic and drops. */
export function usualScenery(): Scenery {
  const scenery = new Scenery();
  scenery.network_list = [
    {
      ...{ name: 'blue', vni: 256, peers: ['10.200.0.2', '10.200.0.3'], pathMtu: 1500 },
      ports: [{ name: 'web1' }, { name: 'web2' }],
    },
    {
      ...{ name: 'green', vni: 257, peers: ['10.200.0.2'] },
      ports: [
        { name: 'db1' },
        { name: 'db2', state: 'waiting', reason: 'its namespace is not there yet' },
      ],
    },
  ];
  scenery.flows.set('blue 10.200.0.2:4789', {
    rx_bytes: 12_500_000,
    tx_bytes: 250_000_000,
    drops: { 'tx.too_big': 7 },
  });
  scenery.flows.set('blue web1', {
    rx_bytes: 250_000_000,
    rx_frames: 170_000,
    tx_bytes: 12_500_000,
    tx_frames: 9000,
  });
  scenery.flows.set('green db1', { rx_bytes: 1250, rx_frames: 10 });
  scenery.flows.set('green 10.200.0.2:4789', { tx_bytes: 1250, tx_frames: 10 });
  scenery.flows.set('underlay', { drops: { 'rx.vni_unknown': 3 } });
  scenery.vteps = [
    {
      address: '10.200.0.2',
      state: 'alive',
      asked: 5,
      answered: 5,
      rtt_us: 210,
      mean_rtt_us: 230,
      heard_at: '2026-11-21T09:01:00.000Z',
    },
    {
      address: '10.200.0.3',
      state: 'silent',
      asked: 5,
      answered: 0,
      heard_at: '2026-11-21T08:58:00.000Z',
    },
  ];
  scenery.host_list = [
    { address: OWN, port: 4789, name: 'alpha', state: 'live', self: true, endpoints: 4 },
    { address: '10.200.0.2', port: 4789, name: 'beta', state: 'live', self: false, endpoints: 3 },
    { address: '10.200.0.3', port: 4789, name: 'gamma', state: 'live', self: false, endpoints: 1 },
  ];
  scenery.lines = [
    {
      seq: 1,
      at: '2026-11-21T09:00:01.000Z',
      kind: 'learned',
      sentence: 'MAC 02:42:0a:00:00:01 was learned at port web1.',
      network: 'blue',
      mac: '02:42:0a:00:00:01',
    },
    {
      seq: 2,
      at: '2026-11-21T09:00:02.000Z',
      kind: 'moved',
      sentence: 'MAC 02:42:0a:00:00:02 moved from VTEP 10.200.0.2 to port web2.',
      network: 'blue',
      mac: '02:42:0a:00:00:02',
    },
  ];
  return scenery;
}

function reason(name: string, stage: DropView['stage'], sentence: string): DropView {
  return { reason: name, stage, sentence, frames: 0 };
}
