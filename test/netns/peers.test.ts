/**
 * The test bed judged by what exists already: the kernel's vxlan against itself and against Open vSwitch.
 * When these fail, no other failure means anything.
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { BROADCAST, numberedMac } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { isMarked, markedFrame, textOf } from '../support/marked.js';
import { createOvs } from '../support/ovs.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { sendOverVxlan } from '../support/vxlanForge.js';

const VNI = 77;

describe.each([
  { peer: 'kernel', family: 4, remote: 'fixed' },
  { peer: 'kernel', family: 6, remote: 'fixed' },
  { peer: 'ovs', family: 4, remote: 'fixed' },
  { peer: 'ovs', family: 4, remote: 'flow' },
  { peer: 'ovs', family: 6, remote: 'fixed' },
] as const)(
  'kernel vxlan and $peer over IPv$family, remote $remote',
  ({ peer, family, remote }) => {
    const scope = fileScope();
    let c1: Container;
    let c2: Container;

    beforeAll(async () => {
      const offload = peer === 'ovs' ? 'wire' : 'whole';
      const { hosts } = await createUnderlay(scope, { hosts: ['a', 'b'], offload });
      const [a, b] = hosts as [Host, Host];
      c1 = await createContainer(scope, 'c1', 1);
      c2 = await createContainer(scope, 'c2', 2);
      const kernel = await createKernelVxlan(a, { vni: VNI, family, peers: [b.address[family]] });
      await kernel.attach(c1);
      const far = { vni: VNI, family, peers: [a.address[family]], remote };
      const site =
        peer === 'ovs' ? await createOvs(scope, b, far) : await createKernelVxlan(b, far);
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
  },
);

test('what we forge is VXLAN to the kernel', async () => {
  const scope = testScope();
  const [one, two] = (await createUnderlay(scope, { hosts: ['one', 'two'] })).hosts as [Host, Host];
  const c1 = await createContainer(scope, 'c1', 1);
  const kernel = await createKernelVxlan(one, { vni: VNI, family: 4, peers: [] });
  await kernel.attach(c1);
  const capture = await Capture.start(scope, c1);
  const frame = markedFrame(BROADCAST, numberedMac(1), 'forged');
  await sendOverVxlan({ from: two, to: one, vni: VNI }, [frame]);
  expect((await capture.waitFor(1, isMarked)).map(textOf)).toEqual(['forged']);
  expect(await kernel.fdb()).toContainEqual(
    expect.objectContaining({ mac: numberedMac(1), dst: two.address[4] }),
  );
});
