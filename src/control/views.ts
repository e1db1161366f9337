// What the API answers, as schemas (they become the OpenAPI document) and types. Names are
// snake_case like the settings; units: seconds unless the name says otherwise, bytes, frames.

import * as z from 'zod';

const count = () => z.number();

const PATH_MTU = 'the largest outer IP packet that the path carries, as far as is known';

export const dropView = z.object({
  reason: z.string(),
  stage: z.enum(['underlay', 'ingress', 'egress']),
  frames: count(),
  sentence: z.string().meta({ description: 'for an engineer who never saw the code' }),
});
export type DropView = z.output<typeof dropView>;

export const noteView = z.object({
  note: z.string().meta({ description: 'what happened beside dropping' }),
  times: count(),
  sentence: z.string(),
});
export type NoteView = z.output<typeof noteView>;

export const portView = z.object({
  name: z.string(),
  network: z.string(),
  kind: z.enum(['tap', 'packet', 'memory']),
  source: z.enum(['file', 'api', 'docker']),
  state: z.enum(['up', 'gone', 'waiting']),
  reason: z.string().optional().meta({ description: 'why it is not up' }),
  netns: z.string().optional(),
  ifname: z.string().optional(),
  ifindex: z.number().optional(),
  mac: z.string().optional(),
  mtu: z.number().optional(),
  addresses: z.array(z.string()),
  container: z.string().optional().meta({ description: 'name, or ID, of the container' }),
  secured: z.boolean().meta({ description: 'may send under its own MAC and addresses alone' }),
});
export type PortView = z.output<typeof portView>;

export const peerView = z.object({
  address: z.string(),
  port: z.number(),
  vni: z.number(),
  origin: z.enum(['static', 'control']).meta({ description: 'named by people, or by the store' }),
  path_mtu: z.number().optional().meta({ description: PATH_MTU }),
});
export type PeerView = z.output<typeof peerView>;

export const poolView = z.object({
  subnet: z.string(),
  gateway: z.string().optional(),
  range: z.string().optional(),
});

export const networkView = z.object({
  name: z.string(),
  vni: z.number(),
  port: z.number(),
  subnet: z.string().optional(),
  mtu: z.number(),
  up: z.boolean(),
  open: z.boolean(),
  source: z.enum(['file', 'store']),
  owner: z
    .enum(['people', 'docker', 'docker-cluster'])
    .optional()
    .meta({ description: 'who ends a network of the store' }),
  pools: z.array(poolView).meta({ description: 'where its addresses come from' }),
  members: z
    .array(z.string())
    .meta({ description: 'VTEPs of the hosts that have containers in it, or Docker knows it' }),
  peers: z.array(peerView),
  ports: z.array(portView),
  settings: z
    .record(z.string(), z.unknown())
    .meta({ description: 'every setting, as in the file' }),
});
export type NetworkView = z.output<typeof networkView>;

export const fdbView = z.object({
  network: z.string(),
  vni: z.number(),
  mac: z.string(),
  origin: z.enum(['learned', 'static', 'control']),
  active: z.boolean(),
  port: z.string().optional(),
  vtep: z.string().optional(),
  udp_port: z.number().optional(),
  tunnel_vni: z.number().optional(),
  local: z.boolean(),
  idle: z.number().meta({ description: 'seconds since the last frame from it' }),
});
export type FdbView = z.output<typeof fdbView>;

const hostState = z.enum(['live', 'lost']);

export const endpointView = z.object({
  network: z.string(),
  id: z.string(),
  name: z.string().optional(),
  aliases: z.array(z.string()),
  mac: z.string(),
  addresses: z.array(z.string()).meta({ description: 'with prefix length' }),
  host: z.string().meta({ description: 'VTEP of the host that it is on' }),
  state: hostState.meta({ description: 'of that host' }),
});
export type EndpointView = z.output<typeof endpointView>;

export const hostView = z.object({
  address: z.string().meta({ description: 'of its VTEP' }),
  port: z.number(),
  name: z.string(),
  state: hostState,
  self: z.boolean().meta({ description: 'it is this one' }),
  endpoints: z.number(),
});
export type HostView = z.output<typeof hostView>;

export const neighborView = z.object({
  network: z.string(),
  ip: z.string(),
  mac: z.string(),
  vtep: z.string().optional().meta({ description: 'where it is; absent = on this host' }),
  state: z.enum(['local', 'live', 'stale', 'dead']).meta({
    description: 'ARP and ND are answered here for live ones, and passed on for all others',
  }),
});
export type NeighborView = z.output<typeof neighborView>;

const portCountersView = z.object({
  name: z.string(),
  kind: z.enum(['tap', 'packet', 'memory', 'tunnel']),
  state: z.enum(['up', 'gone']),
  rx_frames: count(),
  rx_bytes: count(),
  tx_frames: count(),
  tx_bytes: count(),
  macs: z.number(),
  unreachable: count(),
  path_mtu: z.number().optional().meta({ description: PATH_MTU }),
  drops: z.array(dropView),
  notes: z.array(noteView),
});

const balanceView = z.object({
  in: count(),
  out: count(),
  consumed: count(),
  ingress_drops: count(),
  egress_drops: count(),
  ingress_missing: count().meta({ description: '0 unless frames were lost without a name' }),
  egress_missing: count(),
});

export const networkCountersView = z.object({
  name: z.string(),
  vni: z.number(),
  ports: z.array(portCountersView),
  retired: z.object({
    rx_frames: count(),
    tx_frames: count(),
    drops: z.array(dropView),
    notes: z.array(noteView),
  }),
  unicast: count(),
  flooded: count(),
  replicated: count(),
  generated: count().meta({ description: 'frames that this host made itself, such as ICMP' }),
  consumed: count(),
  drops: z.array(dropView),
  fdb: z.object({
    macs: z.number(),
    learned: count(),
    moved: count(),
    aged: count(),
    evicted: count(),
    full: count(),
  }),
  reserved_bits_ignored: count(),
  ecn: z.object({
    odd: count().meta({
      description:
        'frames accepted although their inner and outer ECN do not go together (rx.ecn_odd)',
    }),
    nonip: count().meta({
      description: 'frames marked as congested outside that have no IP header (rx.ecn_nonip)',
    }),
  }),
  balance: balanceView,
});
export type NetworkCountersView = z.output<typeof networkCountersView>;

const workerView = z.object({
  turns: count(),
  sleeps: count(),
  busy_us: count().meta({ description: 'microseconds in which it neither slept nor spun' }),
  rx_frames: count(),
  tx_frames: count(),
  drops: z.array(dropView),
});

const vtepView = z.object({
  address: z.string(),
  state: z.enum(['alive', 'silent', 'unknown']).meta({
    description:
      'silent: it answered once, and is neither heard of nor answers any more; unknown: not heard of, and it never answered',
  }),
  heard_at: z.string().optional(),
  asked: count().meta({ description: 'ICMP echo requests sent to it' }),
  answered: count(),
  rtt_us: z.number().optional().meta({ description: 'of the last answer' }),
  mean_rtt_us: z.number().optional(),
});
export type VtepView = z.output<typeof vtepView>;

export const countersView = z.object({
  at: z.string().meta({ description: 'when they were read; rates are differences by this clock' }),
  started_at: z.string(),
  workers: z.array(workerView),
  underlay: z.object({
    datagrams: count(),
    retired: count().meta({
      description: 'datagrams that were counted at tunnels and networks that are no more',
    }),
    drops: z.array(dropView),
    notes: z.array(noteView),
    source_ports: z.array(z.number()),
    receive_buffer: z.number(),
    path: z.enum(['udp', 'ring', 'tunnel-gso']).meta({
      description:
        'by which way datagrams cross the kernel: what is in use, not what was asked for',
    }),
    missing: count().meta({
      description: 'datagrams - drops - retired - what reached a network; 0 unless lost',
    }),
  }),
  networks: z.array(networkCountersView),
  vteps: z.array(vtepView),
  balanced: z.boolean().meta({ description: 'every sum holds: in = out + consumed + drops' }),
});
export type CountersView = z.output<typeof countersView>;

export const statusView = z.object({
  version: z.string(),
  pid: z.number(),
  state: z.enum(['ok', 'degraded', 'purged']),
  started_at: z.string(),
  socket: z.string(),
  config: z.string().optional(),
  vtep: z.object({ address: z.string(), port: z.number(), interface: z.string().optional() }),
  underlay_mtu: z.number(),
  store: z.object({
    name: z.string(),
    state: z.enum(['connecting', 'connected', 'degraded']),
    since: z.string(),
    detail: z.string().optional().meta({ description: 'why it is not connected' }),
    garbage: z.number().meta({ description: 'keys under our prefix that are no records of ours' }),
    conflicts: z.array(z.string()).meta({
      description: 'what of this host the others could not be told',
    }),
  }),
  workers: z.number(),
  networks: z.number(),
  ports: z.object({ up: z.number(), waiting: z.number(), gone: z.number() }),
  peers: z.number(),
  warnings: z.array(z.string()),
});
export type StatusView = z.output<typeof statusView>;

export const doctorView = z.object({
  ready: z.boolean().meta({ description: 'nothing that is needed is missing' }),
  verdict: z
    .enum([
      'ready',
      'ready for rootless and packet ports',
      'ready for rootless ports',
      'ready for packet ports',
      'not ready',
    ])
    .meta({ description: '`ready`: also for TAPs that vswitchd makes itself' }),
  checks: z.array(
    z.object({
      group: z.enum(['kernel and runtime', 'rights', 'ports', 'datapath', 'underlay', 'system']),
      name: z.string(),
      state: z.enum(['ok', 'missing', 'without', 'warning', 'unknown']).meta({
        description:
          'without: it works, but not as well; warning: it may be in the way; unknown: could not be read',
      }),
      ok: z.boolean(),
      needed: z.boolean(),
      why: z.string(),
      fix: z.string().optional(),
      detail: z.string().optional(),
    }),
  ),
});
export type DoctorView = z.output<typeof doctorView>;

export const removedTapView = z.object({
  port: z.string(),
  ifname: z.string(),
  netns: z.string().optional(),
});

/** Absent when none is left. */
const leftTaps = () =>
  z
    .array(removedTapView.extend({ why: z.string() }))
    .optional()
    .meta({ description: 'TAPs that should be removed and are still there' });

export const removedView = z.object({
  removed_taps: z.array(removedTapView),
  left_taps: leftTaps(),
});
export type RemovedView = z.output<typeof removedView>;

export const purgeView = z.object({
  networks: z.array(z.string()),
  ports: z.array(z.string()),
  taps: z.array(removedTapView),
  left_taps: leftTaps(),
});
export type PurgeView = z.output<typeof purgeView>;

export const reloadView = z.object({
  kept: z.array(z.string()),
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.string()),
  removed_taps: z.array(removedTapView),
  left_taps: leftTaps(),
  warnings: z.array(z.string()),
});
export type ReloadView = z.output<typeof reloadView>;

export const flushView = z.object({ flushed: z.number() });
export type FlushView = z.output<typeof flushView>;

export const errorView = z.object({
  code: z.string(),
  message: z.string(),
  problems: z
    .array(
      z.object({
        path: z.string(),
        line: z.number().optional(),
        value: z.unknown().optional(),
        allowed: z.string(),
        nearest: z.string().optional(),
      }),
    )
    .optional(),
});
export type ErrorView = z.output<typeof errorView>;
