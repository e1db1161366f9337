/** The invariants of the datapath's counters: every frame that enters leaves, is consumed, or is dropped with a name. */

import type { CountersView, DropView, NetworkCountersView } from '../../src/control/views.js';

/** Throws with the sums that differ. Counters of a switch at work are not read at one instant: see `eventually`. */
export function assertBalanced(counters: CountersView): void {
  const wrong: string[] = [];
  for (const network of counters.networks) {
    const { entered, judged, copies, left } = sums(network);
    if (entered !== judged) wrong.push(`network ${network.name}: ${entered} in, ${judged} judged`);
    if (copies !== left) wrong.push(`network ${network.name}: ${copies} copies, ${left} left`);
  }
  const { datagrams } = counters.underlay;
  const accounted = accountedDatagrams(counters);
  if (datagrams !== accounted) wrong.push(`${datagrams} datagrams, ${accounted} accounted for`);
  if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\n${JSON.stringify(counters)}`);
  if (!counters.balanced) throw new Error('the daemon says that its counters do not balance');
}

/** How often `reason` was counted, anywhere. */
export function drops(counters: CountersView, reason: string): number {
  const lists = [
    counters.underlay.drops,
    ...counters.networks.flatMap((network) => [
      network.drops,
      network.retired.drops,
      ...network.ports.map((port) => port.drops),
    ]),
  ];
  return framesOf(lists.flat().filter((drop) => drop.reason === reason));
}

/** How often `note` was made, anywhere. */
export function notes(counters: CountersView, note: string): number {
  const lists = [
    counters.underlay.notes,
    ...counters.networks.flatMap((network) => [
      network.retired.notes,
      ...network.ports.map((port) => port.notes),
    ]),
  ];
  const found = lists.flat().filter((item) => item.note === note);
  return found.reduce((sum, { times }) => sum + times, 0);
}

/** The four sums of a network, added up anew: the daemon's own `balance` is what is being judged. */
function sums(network: NetworkCountersView) {
  const all = [...network.ports, network.retired];
  const sum = (pick: (port: (typeof all)[number]) => number) =>
    all.reduce((total, port) => total + pick(port), 0);
  const dropped = (egress: boolean) =>
    sum((port) => framesOf(port.drops.filter((drop) => EGRESS.has(drop.reason) === egress)));
  return {
    entered: sum((port) => port.rx_frames),
    judged: dropped(false) + network.consumed + network.unicast + network.flooded,
    copies: network.unicast + network.replicated + network.generated,
    left: sum((port) => port.tx_frames) + dropped(true),
  };
}

/** Datagrams that were dropped before a tunnel, or counted at one that is no more, and frames that entered through one. */
function accountedDatagrams(counters: CountersView): number {
  return counters.networks.reduce((sum, network) => {
    const tunnels = network.ports.filter((port) => port.kind === 'tunnel');
    const entered = tunnels.reduce((total, tunnel) => total + tunnel.rx_frames, 0);
    return sum + framesOf(network.drops) + entered;
  }, counters.underlay.retired + framesOf(counters.underlay.drops));
}

function framesOf(list: readonly DropView[]): number {
  return list.reduce((sum, drop) => sum + drop.frames, 0);
}

/** Drops that happen to a copy on its way out; every other drop takes the place of a forwarding decision. */
const EGRESS = new Set(
  [
    ...['port_mtu', 'port_queue', 'port_gone', 'port_down', 'port_refused', 'no_route'],
    ...[
      'sock_full',
      'eperm',
      'too_big',
      'too_big_nodf',
      'too_big_noicmp',
      'local_down',
      'batch_full',
      'send_failed',
    ],
  ].map((name) => `tx.${name}`),
);
