/** The invariants of the datapath's counters: every frame that enters leaves, is consumed, or is dropped with a name. */

import { balanceOf, type DropCount, type Stage, totalDrops } from '../../src/model/counters.js';

export interface PortCounters {
  readonly name: string;
  readonly kind: 'tap' | 'memory' | 'tunnel';
  readonly state: 'up' | 'gone';
  readonly rxFrames: number;
  readonly txFrames: number;
  readonly macs: number;
  readonly unreachable: number;
  readonly drops: readonly DropCount[];
}

export interface NetworkCounters {
  readonly name: string;
  readonly vni: number;
  readonly ports: readonly PortCounters[];
  readonly retired: {
    readonly rxFrames: number;
    readonly txFrames: number;
    readonly drops: readonly DropCount[];
  };
  readonly unicast: number;
  readonly flooded: number;
  readonly replicated: number;
  readonly consumed: number;
  readonly drops: readonly DropCount[];
  readonly macs: number;
  readonly moved: number;
  readonly aged: number;
  readonly full: number;
}

export interface Counters {
  readonly underlay: {
    readonly datagrams: number;
    readonly drops: readonly DropCount[];
    readonly sourcePorts: readonly number[];
  };
  readonly networks: readonly NetworkCounters[];
}

/** Throws with the sums that differ. Counters of a switch at work are not read at one instant: see `eventually`. */
export function assertBalanced(counters: Counters): void {
  const wrong: string[] = [];
  for (const network of counters.networks) {
    const balance = balanceOf(network, stageOf);
    if (balance.ingressMissing !== 0 || balance.egressMissing !== 0) {
      wrong.push(`network ${network.name}: ${JSON.stringify(balance)}`);
    }
  }
  const accounted = accountedDatagrams(counters);
  if (counters.underlay.datagrams !== accounted) {
    wrong.push(`underlay: ${counters.underlay.datagrams} datagrams, ${accounted} accounted for`);
  }
  if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\n${JSON.stringify(counters)}`);
}

/** How often `reason` was counted, anywhere. */
export function drops(counters: Counters, reason: string): number {
  const lists = [
    counters.underlay.drops,
    ...counters.networks.flatMap((network) => [
      network.drops,
      network.retired.drops,
      ...network.ports.map((port) => port.drops),
    ]),
  ];
  return totalDrops(lists.flat().filter((drop) => drop.reason === reason));
}

/** Datagrams that were dropped before a tunnel, and frames that entered through one. */
function accountedDatagrams(counters: Counters): number {
  return counters.networks.reduce((sum, network) => {
    const tunnels = network.ports.filter((port) => port.kind === 'tunnel');
    const entered = tunnels.reduce((n, tunnel) => n + tunnel.rxFrames, 0);
    return sum + totalDrops(network.drops) + entered;
  }, totalDrops(counters.underlay.drops));
}

/**
 * Drops that happen to a copy on its way out; every other drop takes the place of a forwarding decision.
 * Written down here once more on purpose: the daemon's own list is what is being judged.
 */
function stageOf(reason: string): Stage {
  return EGRESS.has(reason) ? 'egress' : 'ingress';
}

const EGRESS = new Set(
  [
    ...['port_mtu', 'port_queue', 'port_gone', 'port_down', 'port_refused', 'no_route'],
    ...['sock_full', 'eperm', 'too_big', 'local_down', 'send_failed'],
  ].map((name) => `tx.${name}`),
);
