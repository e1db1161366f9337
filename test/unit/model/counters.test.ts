import { expect, it } from 'vitest';
import { balanceOf, type Flows, type Stage, sumDrops } from '../../../src/model/counters.js';

const stages: Record<string, Stage> = { 'rx.bad': 'ingress', 'tx.full': 'egress' };
const stageOf = (reason: string) => stages[reason];
const port = (rxFrames: number, txFrames: number, ...drops: [string, number][]) => ({
  rxFrames,
  txFrames,
  drops: drops.map(([reason, frames]) => ({ reason, frames })),
});

const sound: Flows = {
  ports: [port(10, 0, ['rx.bad', 2]), port(0, 11, ['tx.full', 1])],
  retired: port(3, 2),
  ...{ unicast: 6, flooded: 4, replicated: 7, generated: 1, consumed: 1 },
};

it('balances when every frame has left, was consumed or was dropped with a name', () => {
  expect(balanceOf(sound, stageOf)).toEqual({
    in: 13,
    out: 13,
    consumed: 1,
    ingressDrops: 2,
    egressDrops: 1,
    ingressMissing: 0,
    egressMissing: 0,
  });
});

it('tells how many frames are missing on which side', () => {
  expect(balanceOf({ ...sound, flooded: 3 }, stageOf).ingressMissing).toBe(1);
  expect(balanceOf({ ...sound, replicated: 9 }, stageOf).egressMissing).toBe(2);
});

it('adds up equal reasons', () => {
  const lists = [
    [{ reason: 'a', frames: 1 }],
    [
      { reason: 'b', frames: 2 },
      { reason: 'a', frames: 3 },
    ],
  ];
  expect(sumDrops(lists)).toEqual([
    { reason: 'a', frames: 4 },
    { reason: 'b', frames: 2 },
  ]);
});
