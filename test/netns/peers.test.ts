/**
 * The test bed judged by what exists already: the kernel's vxlan against itself and against Open vSwitch.
 * When these fail, no other failure means anything.
 */

import { beforeAll, describe, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { createOvs } from '../support/ovs.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Family,
} from '../support/topology.js';

const VNI = 77;

describe.each([
  { peer: 'kernel', family: 4 },
  { peer: 'kernel', family: 6 },
  { peer: 'ovs', family: 4 },
  { peer: 'ovs', family: 6 },
] as const)('kernel vxlan and $peer over IPv$family', ({ peer, family }) => {
  const scope = fileScope();
  let c1: Container;
  let c2: Container;

  beforeAll(async () => {
    const offload = peer === 'ovs' ? 'wire' : 'whole';
    const { hosts } = await createUnderlay(scope, { hosts: ['a', 'b'], offload });
    const [a, b] = hosts;
    if (!a || !b) throw new Error('two hosts');
    c1 = await createContainer(scope, 'c1', 1);
    c2 = await createContainer(scope, 'c2', 2);
    const other = (f: Family) => ({ vni: VNI, family: f });
    const kernel = await createKernelVxlan(a, { ...other(family), peers: [b.address[family]] });
    await kernel.attach(c1);
    const far = { ...other(family), peers: [a.address[family]] };
    const site = peer === 'ovs' ? await createOvs(scope, b, far) : await createKernelVxlan(b, far);
    await site.attach(c2);
  });

  test('ping at the MTU, TCP and UDP', async () => {
    const mtu = family === 4 ? 1450 : 1430;
    await expectPing(c1, { to: c2.address[4], size: mtu - 28 });
    await expectPing(c2, { to: c1.address[6], size: mtu - 48 });
    await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
    await expectTransfer({ from: c2, to: c1, family: 6, bytes: 2_000_000 });
    await expectUdpEcho({ from: c1, to: c2, family: 4 }, { flows: 3, count: 5, size: 1000 });
  });
});
