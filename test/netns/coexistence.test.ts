/** Others that want the same: a kernel vxlan device on our UDP port, a second vswitchd. */

import { expect, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { testScope } from '../support/testScope.js';
import { createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const NETWORK = { name: 'net', vni: 256, peers: ['10.200.0.2'] };

test('[N233] a UDP port that a kernel vxlan device holds is refused with the name of the device', async () => {
  const scope = testScope();
  const [one] = (await createUnderlay(scope, { hosts: ['one'] })).hosts as [Host];
  const { device } = await createKernelVxlan(one, { vni: 9, family: 4, peers: [] });
  const vswitchd = await Vswitchd.configure(scope, one, { networks: [NETWORK] });
  const child = await vswitchd.launch();
  expect((await child.exited).code).toBe(1);
  expect(child.stderr).toContain(device);
  expect(child.stderr).toContain('4789');
  expect(child.stderr).toContain('vtep.port');

  await one.namespace.ip(`link del dev ${device}`);
  await vswitchd.start();
});

test('[N234] a second vswitchd with the same socket, or the same address, is refused', async () => {
  const scope = testScope();
  const [one] = (await createUnderlay(scope, { hosts: ['one'] })).hosts as [Host];
  const c1 = await createContainer(scope, 'c1', 1);
  const networks = [{ ...NETWORK, ports: [portOf(c1)] }];
  const first = await Vswitchd.start(scope, one, { networks });

  const twin = await Vswitchd.configure(scope, one, { networks, socket: first.socket });
  const sameSocket = await twin.launch();
  expect((await sameSocket.exited).code).toBe(1);
  expect(sameSocket.stderr).toContain(first.socket);

  const other = await Vswitchd.configure(scope, one, { networks: [NETWORK] });
  const sameAddress = await other.launch();
  expect((await sameAddress.exited).code).toBe(1);
  expect(sameAddress.stderr).toContain('4789');

  await first.ctl('status');
});
