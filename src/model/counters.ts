// Counters of the datapath and the two sums that must always hold: every frame that enters leaves,
// is consumed, or is dropped with a name. Units: frames (a superframe of n segments counts n), bytes.

/** Where in its way a frame is dropped, which says what the drop is counted against. */
export type Stage = 'underlay' | 'ingress' | 'egress';

export interface DropCount {
  readonly reason: string;
  readonly frames: number;
}

export interface DropReason {
  readonly name: string;
  readonly stage: Stage;
  readonly sentence: string;
}

/** The part of a network's counters that the sums are about. */
export interface Flows {
  readonly ports: readonly PortFlows[];
  /** Folded from ports that were removed. */
  readonly retired: PortFlows;
  readonly unicast: number;
  readonly flooded: number;
  readonly replicated: number;
  /** Made by this host itself, such as ICMP. */
  readonly generated: number;
  readonly consumed: number;
}

export interface PortFlows {
  readonly rxFrames: number;
  readonly txFrames: number;
  readonly drops: readonly DropCount[];
}

/** What entered, where it went, and what is missing on either side (0 = balanced). */
export interface Balance {
  readonly in: number;
  readonly out: number;
  readonly consumed: number;
  readonly ingressDrops: number;
  readonly egressDrops: number;
  /** rx - ingress drops - consumed - unicast - flooded */
  readonly ingressMissing: number;
  /** unicast + replicated + generated - tx - egress drops */
  readonly egressMissing: number;
}

/** Adds up one network. `stageOf` tells the stage of a drop reason. */
export function balanceOf(flows: Flows, stageOf: (reason: string) => Stage | undefined): Balance {
  const all = [...flows.ports, flows.retired];
  const sum = (pick: (port: PortFlows) => number) => all.reduce((n, port) => n + pick(port), 0);
  const dropsAt = (stage: Stage) =>
    sum((port) => totalDrops(port.drops.filter((drop) => stageOf(drop.reason) === stage)));
  const entered = sum((port) => port.rxFrames);
  const left = sum((port) => port.txFrames);
  const ingressDrops = dropsAt('ingress');
  const egressDrops = dropsAt('egress');
  const { unicast, flooded, replicated, generated, consumed } = flows;
  return {
    in: entered,
    out: left,
    consumed,
    ingressDrops,
    egressDrops,
    ingressMissing: entered - ingressDrops - consumed - unicast - flooded,
    egressMissing: unicast + replicated + generated - left - egressDrops,
  };
}

export function totalDrops(drops: readonly DropCount[]): number {
  return drops.reduce((sum, drop) => sum + drop.frames, 0);
}

/** Adds the counts of equal reasons; order of first appearance. */
export function sumDrops(lists: readonly (readonly DropCount[])[]): DropCount[] {
  const sums = new Map<string, number>();
  for (const { reason, frames } of lists.flat()) sums.set(reason, (sums.get(reason) ?? 0) + frames);
  return [...sums].map(([reason, frames]) => ({ reason, frames }));
}
