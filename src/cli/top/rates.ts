// What happens in a second, from two readings of the counters, by the counters' own clock.

import type { CountersView, DropView, NetworkCountersView } from '../../control/client.js';
import { parseTunnel } from '../../model/vtep.js';

/** A number in a second; absent where there is nothing to compare with. */
export type Rate = number | undefined;

export interface Rates {
  /** Of each worker, from 0 to 1. */
  readonly loads: readonly Rate[];
  readonly places: readonly PlaceRates[];
  readonly drops: readonly DropRate[];
}

/** A port or a tunnel. In and out are the switch's. */
export interface PlaceRates {
  readonly name: string;
  readonly network: string;
  readonly kind: 'port' | 'tunnel';
  readonly state: string;
  readonly inBits: Rate;
  readonly inFrames: Rate;
  readonly outBits: Rate;
  readonly outFrames: Rate;
  readonly drops: Rate;
  readonly macs: number;
  readonly pathMtu?: number | undefined;
  readonly rttUs?: number | undefined;
}

export interface DropRate {
  readonly reason: string;
  readonly sentence: string;
  /** Absent: at the underlay, before a network is known. */
  readonly network: string | undefined;
  readonly frames: number;
  readonly rate: Rate;
}

/** `previous` is of the same host; if vswitchd was started in between, there are no rates. */
export function ratesOf(previous: CountersView | undefined, current: CountersView): Rates {
  const before = previous?.started_at === current.started_at ? previous : undefined;
  const seconds =
    before === undefined ? 0 : (Date.parse(current.at) - Date.parse(before.at)) / 1000;
  const perSecond: PerSecond = (was, is) =>
    was === undefined || seconds <= 0 || is < was ? undefined : (is - was) / seconds;
  return {
    loads: current.workers.map(({ busy_us }, at) => {
      const busy = perSecond(before?.workers[at]?.busy_us, busy_us);
      return busy === undefined ? undefined : Math.min(1, busy / 1e6);
    }),
    places: current.networks.flatMap((network) =>
      placesOf(network, { before, current, perSecond }),
    ),
    drops: dropsOf(before, current, perSecond),
  };
}

type PerSecond = (was: number | undefined, is: number) => Rate;

interface Comparison {
  readonly before: CountersView | undefined;
  readonly current: CountersView;
  readonly perSecond: PerSecond;
}

function placesOf(
  { name: network, vni, ports }: NetworkCountersView,
  { before, current, perSecond }: Comparison,
): PlaceRates[] {
  const known = before?.networks.find((item) => item.name === network)?.ports ?? [];
  return ports.map((port) => {
    const was = known.find(({ name, kind }) => name === port.name && kind === port.kind);
    const bits = (bytes: Rate) => (bytes === undefined ? undefined : bytes * 8);
    const address = port.kind === 'tunnel' ? parseTunnel(port.name, vni)?.address : undefined;
    const vtep = current.vteps.find((item) => item.address === address);
    return {
      name: port.name,
      network,
      kind: port.kind === 'tunnel' ? 'tunnel' : 'port',
      state: vtep?.state ?? port.state,
      inBits: bits(perSecond(was?.rx_bytes, port.rx_bytes)),
      inFrames: perSecond(was?.rx_frames, port.rx_frames),
      outBits: bits(perSecond(was?.tx_bytes, port.tx_bytes)),
      outFrames: perSecond(was?.tx_frames, port.tx_frames),
      drops: perSecond(was && framesOf(was.drops), framesOf(port.drops)),
      macs: port.macs,
      pathMtu: port.path_mtu,
      rttUs: vtep?.mean_rtt_us ?? vtep?.rtt_us,
    };
  });
}

function dropsOf(
  before: CountersView | undefined,
  current: CountersView,
  perSecond: PerSecond,
): DropRate[] {
  const known = new Map(
    before === undefined ? [] : summed(before).map((d) => [keyOf(d), d.frames]),
  );
  return summed(current).map((drop) => {
    // What is counted for the first time was nought before.
    const was = before === undefined ? undefined : (known.get(keyOf(drop)) ?? 0);
    return { ...drop, rate: perSecond(was, drop.frames) };
  });
}

type Drop = Omit<DropRate, 'rate'>;

/** Of each network, with its ports and those it had, and of the underlay. */
function summed({ underlay, networks }: CountersView): Drop[] {
  const places = networks.flatMap(({ name, drops, retired, ports }) =>
    [drops, retired.drops, ...ports.map((port) => port.drops)].map((list) => ({ name, list })),
  );
  const sums = new Map<string, Drop>();
  for (const { name, list } of [{ name: undefined, list: underlay.drops }, ...places]) {
    for (const { reason, sentence, frames } of list) {
      const drop = { reason, sentence, network: name, frames };
      const sum = (sums.get(keyOf(drop))?.frames ?? 0) + frames;
      sums.set(keyOf(drop), { ...drop, frames: sum });
    }
  }
  return [...sums.values()];
}

function keyOf({
  network = '',
  reason,
}: {
  readonly network: string | undefined;
  readonly reason: string;
}): string {
  return `${network} ${reason}`;
}

function framesOf(drops: readonly DropView[]): number {
  return drops.reduce((sum, drop) => sum + drop.frames, 0);
}
