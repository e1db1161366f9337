/**
 * The same traffic with every facility of the kernel switched off in turn: an older kernel lacks it.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 */

import { beforeAll, describe, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portArguments, Vswitchd } from '../support/vswitchd.js';

const FEATURES = [
  ...['udp_gso', 'udp_gro', 'vnet_hdr', 'multi_queue'],
  ...['recvmmsg', 'sendmmsg', 'spin'],
] as const;
const ALL_OFF = Object.fromEntries(FEATURES.map((feature) => [feature, 'off' as const]));

describe('TCP and ping at the MTU', () => {
  const scope = fileScope();
  let one: Host;
  let two: Host;
  let c2: Container;

  beforeAll(async () => {
    [one, two] = (await createUnderlay(scope, { hosts: ['one', 'two'] })).hosts as [Host, Host];
    c2 = await createContainer(scope, 'c2', 2);
    const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
    await kernel.attach(c2);
  });

  test.each([
    ...FEATURES.map((feature) => ({
      what: `without ${feature}`,
      features: { [feature]: 'off' as const },
      workers: 'auto' as const,
    })),
    { what: 'without all of them', features: ALL_OFF, workers: 1 },
    { what: 'with two workers', features: {}, workers: 2 },
  ])('$what', async ({ features, workers }) => {
    const own = testScope();
    const c1 = await createContainer(own, 'c1', 1);
    const vswitchd = await Vswitchd.start(own, one, {
      networks: [{ name: 'net', vni: 256, peers: [two.address[4]] }],
      datapath: { features, workers },
    });
    await vswitchd.ctl('port', 'add', 'net', ...portArguments(c1));
    await expectPing(c1, { to: c2.address[4], size: 1422 });
    await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
    await expectTransfer({ from: c2, to: c1, family: 6, bytes: 2_000_000 });
    await vswitchd.balanced();
    await vswitchd.stop();
  });
});
