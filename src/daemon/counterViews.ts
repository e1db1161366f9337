// From the datapath's counters to what the API shows: names, sentences, and the balance.

import type { CountersView, DropView, NetworkCountersView, VtepView } from '../control/views.js';
import type {
  Counters,
  DropCount,
  NetworkCounters,
  PortCounters,
  VtepReport,
} from '../datapath/seam.js';
import { balanceOf, type DropReason, totalDrops } from '../model/counters.js';
import { DropLedger } from './dropLedger.js';

/** Knows every drop reason of the datapath. */
export class CounterViews {
  /** Every one that exists, by name. */
  readonly reasons: ReadonlyMap<string, DropReason>;
  readonly #ledger = new DropLedger();

  constructor(reasons: readonly DropReason[]) {
    this.reasons = new Map(reasons.map((reason) => [reason.name, reason]));
  }

  /** `at`: Unix milliseconds at which they were read. */
  counters(counters: Counters, at: number): CountersView {
    const networks = counters.networks.map((network) => this.#network(network));
    const missing = missingDatagrams(counters);
    const sound = networks.every(
      ({ balance }) => balance.ingress_missing === 0 && balance.egress_missing === 0,
    );
    return {
      at: new Date(at).toISOString(),
      started_at: new Date(counters.startedAt).toISOString(),
      workers: counters.workers.map(({ turns, sleeps, busyUs, rxFrames, txFrames, drops }) => ({
        ...{ turns, sleeps, busy_us: busyUs, rx_frames: rxFrames, tx_frames: txFrames },
        drops: this.#drops(drops),
      })),
      underlay: {
        datagrams: counters.underlay.datagrams,
        retired: counters.underlay.retired,
        drops: this.#drops(counters.underlay.drops),
        notes: counters.underlay.notes,
        source_ports: counters.underlay.sourcePorts,
        receive_buffer: counters.underlay.receiveBuffer,
        path: counters.underlay.path,
        missing,
      },
      networks,
      vteps: counters.vteps.map(viewVtep),
      balanced: sound && missing === 0,
    };
  }

  /**
   * Every reason that exists with its sum over the whole host, in the datapath's order. They include
   * what removed networks had counted when they were last asked for.
   */
  totals(counters: Counters): DropView[] {
    const sums = this.#ledger.sums(counters);
    const frames = new Map(sums.map((drop) => [drop.reason, drop.frames]));
    return this.#drops(
      [...this.reasons.keys()].map((reason) => ({ reason, frames: frames.get(reason) ?? 0 })),
    );
  }

  #network(network: NetworkCounters): NetworkCountersView {
    const balance = balanceOf(network, (reason) => this.reasons.get(reason)?.stage);
    const { name, vni, unicast, flooded, replicated, generated, consumed } = network;
    const { macs, learned, moved, aged, evicted, full } = network;
    return {
      name,
      vni,
      ports: network.ports.map((port) => this.#port(port)),
      retired: {
        rx_frames: network.retired.rxFrames,
        tx_frames: network.retired.txFrames,
        drops: this.#drops(network.retired.drops),
        notes: network.retired.notes,
      },
      unicast,
      flooded,
      replicated,
      generated,
      consumed,
      drops: this.#drops(network.drops),
      fdb: { macs, learned, moved, aged, evicted, full },
      reserved_bits_ignored: network.rsvdIgnored,
      ecn: { odd: network.ecnOdd, nonip: network.ecnNonip },
      balance: {
        in: balance.in,
        out: balance.out,
        consumed: balance.consumed,
        ingress_drops: balance.ingressDrops,
        egress_drops: balance.egressDrops,
        ingress_missing: balance.ingressMissing,
        egress_missing: balance.egressMissing,
      },
    };
  }

  #port(port: PortCounters): NetworkCountersView['ports'][number] {
    return {
      name: port.name,
      kind: port.kind,
      state: port.state,
      rx_frames: port.rxFrames,
      rx_bytes: port.rxBytes,
      tx_frames: port.txFrames,
      tx_bytes: port.txBytes,
      macs: port.macs,
      unreachable: port.unreachable,
      ...(port.pathMtu === undefined ? {} : { path_mtu: port.pathMtu }),
      drops: this.#drops(port.drops),
      notes: port.notes,
    };
  }

  #drops(drops: readonly DropCount[]): DropView[] {
    return drops.map(({ reason, frames }) => {
      const known = this.reasons.get(reason);
      return { reason, frames, stage: known?.stage ?? 'ingress', sentence: known?.sentence ?? '' };
    });
  }
}

function viewVtep({ remote, state, heardAt, asked, answered, ...rtt }: VtepReport): VtepView {
  const { rttUs, meanRttUs } = rtt;
  return {
    ...{ address: remote, state, asked, answered },
    ...(heardAt === undefined ? {} : { heard_at: new Date(heardAt).toISOString() }),
    ...(rttUs === undefined ? {} : { rtt_us: rttUs }),
    ...(meanRttUs === undefined ? {} : { mean_rtt_us: meanRttUs }),
  };
}

/** Datagrams that were neither dropped with a name nor reached a network. */
function missingDatagrams({ underlay, networks }: Counters): number {
  const reached = networks.map((network) => {
    const tunnels = network.ports.filter((port) => port.kind === 'tunnel');
    return totalDrops(network.drops) + tunnels.reduce((sum, tunnel) => sum + tunnel.rxFrames, 0);
  });
  const sorted = underlay.retired + totalDrops(underlay.drops);
  return underlay.datagrams - sorted - reached.reduce((sum, n) => sum + n, 0);
}
