/** Whether VTEPs are there, with the kernel at the other end: it is heard, and answers echo requests by itself. */

import { beforeAll, expect, test } from 'vitest';
import type { HistoryView } from '../../src/control/historyApi.js';
import type { VtepView } from '../../src/control/views.js';
import { eventually } from '../support/eventually.js';
import { createKernelPair, type KernelPair } from '../support/kernelPair.js';
import { expectPing } from '../support/ping.js';
import { fileScope } from '../support/testScope.js';
import { UNDERLAY_IFNAME } from '../support/topology.js';

const scope = fileScope();
let pair: KernelPair;

beforeAll(async () => {
  pair = await createKernelPair(scope);
});

async function vtep(): Promise<VtepView> {
  const found = (await pair.vswitchd.counters()).vteps;
  expect(found.map((view) => view.address)).toEqual([pair.two.address[4]]);
  return found[0] as VtepView;
}

/** What the history says of it, oldest first. */
async function happenings(): Promise<string[]> {
  const history = await pair.vswitchd.ctl<HistoryView>('history', 'net');
  const port = `${pair.two.address[4]}:4789`;
  return history.lines
    .filter((line) => line.port === port && /^vtep(Heard|Silent)$/.test(line.kind))
    .map((line) => line.kind);
}

test('a VTEP that answers is alive, and how long its answers take is known', async () => {
  const alive = await eventually('an answer', async () => {
    const view = await vtep();
    return view.answered > 0 && view;
  });
  expect(alive.state).toBe('alive');
  expect(alive.asked).toBeGreaterThanOrEqual(alive.answered);
  expect(alive.rtt_us).toBeGreaterThan(0);
  expect(alive.mean_rtt_us).toBeGreaterThan(0);
});

test('when a VTEP was heard is known', async () => {
  const before = Date.now();
  await expectPing(pair.c1, { to: pair.c2.address[4] });
  const heard = await eventually('it is heard', async () => {
    const { heard_at } = await vtep();
    return heard_at !== undefined && Date.parse(heard_at) >= before && Date.parse(heard_at);
  });
  expect(heard).toBeLessThanOrEqual(Date.now());
});

test('a VTEP that is gone falls silent, and is alive when it is back', async () => {
  await pair.two.namespace.ip(`link set ${UNDERLAY_IFNAME} down`);
  const state = (wanted: string, within: number) =>
    eventually(wanted, async () => (await vtep()).state === wanted, { within, every: 500 });
  // Half a minute unheard, and three requests without an answer.
  await state('silent', 60_000);
  await pair.two.namespace.ip(`link set ${UNDERLAY_IFNAME} up`);
  await state('alive', 30_000);
  expect(await happenings()).toEqual(['vtepHeard', 'vtepSilent', 'vtepHeard']);
}, 120_000);
