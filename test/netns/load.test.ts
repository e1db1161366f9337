/**
 * A container that makes up source MACs, and what a switch full of them costs.
 *
 *   c1 (attacker), c2 ── network small, default limits ┐
 *   c3                ── network large, large limits   ┴ vswitchd (host one) ══ kernel vxlan (host two) ── c4
 */

import { beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { numberedMac } from '../support/frames.js';
import { expectIdle } from '../support/idle.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { markedFrame } from '../support/marked.js';
import { expectPing } from '../support/ping.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const MACS = 100_000;
const scope = fileScope();
let vswitchd: Vswitchd;
let c1: Container;
let c2: Container;
let c3: Container;
let c4: Container;

beforeAll(async () => {
  const [one, two] = (await createUnderlay(scope, { hosts: ['one', 'two'] })).hosts as [Host, Host];
  [c1, c2, c3, c4] = (await Promise.all(
    [1, 2, 3, 4].map((n) => createContainer(scope, `c${n}`, n)),
  )) as [Container, Container, Container, Container];
  const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
  await kernel.attach(c4);
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [
      { name: 'small', vni: 256, peers: [two.address[4]], ports: [portOf(c1), portOf(c2)] },
      {
        name: 'large',
        vni: 257,
        max_macs: 2 * MACS,
        ports: [{ ...portOf(c3), max_macs: 2 * MACS }],
      },
    ],
  });
});

/** Frames to one address, each from another. */
function crowd(dst: string): readonly Buffer[] {
  return Array.from({ length: MACS }, (_, n) => markedFrame(dst, numberedMac(n), 'x'));
}

test('[D68] [D66] 100 000 source MACs fill their port and nothing else', async () => {
  await expectPing(c2, { to: c4.address[4] });
  const { full } = (await vswitchd.network('small')).fdb;
  // To a known MAC: how many there are is the row, not how well they flood.
  await sendFrames(c1, crowd(c2.mac));
  await eventually('a full port', async () => (await vswitchd.network('small')).fdb.full > full);
  const { ports, fdb } = await vswitchd.network('small');
  expect(ports.find((port) => port.name === 'c1')?.macs).toBe(1024);
  expect(fdb.macs).toBeLessThanOrEqual(1024 + 10);
  await vswitchd.learned(c2.mac, { port: 'c2' });
  await vswitchd.learned(c4.mac, { vtep: '10.200.0.2' });
  await expectPing(c2, { to: c4.address[4] });
});

test('two networks and 100 000 learned MACs take less than 200 MB', async () => {
  const frames = crowd(c3.mac);
  await eventually(
    'all MACs are learned',
    async () => {
      await sendFrames(c3, frames);
      return (await vswitchd.network('large')).fdb.macs >= MACS;
    },
    { within: 40_000 },
  );
  expect(await vswitchd.residentBytes()).toBeLessThan(200e6);
});

test('an idle switch takes less than 1 % of a processor', async () => {
  for (const { namespace, ifname } of [c1, c2, c3]) {
    await namespace.sysctl({ [`ipv6/conf/${ifname}/disable_ipv6`]: 1 });
  }
  await expectIdle(vswitchd);
});
