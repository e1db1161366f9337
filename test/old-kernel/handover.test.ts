/** Rootless containers where the kernel has no descriptors of processes, by which their ends are known (Linux 5.3). */

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { attachment, OrdinaryUser } from '../support/ordinaryUser.js';
import { expectPing } from '../support/ping.js';
import { testScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';
import { launcher } from './levels.js';

test('a container is attached at 4.14, and its end is noticed all the same', async () => {
  const scope = testScope();
  const user = new OrdinaryUser(21_508);
  const { hosts } = await createUnderlay(scope, { hosts: ['one'] });
  const vswitchd = await Vswitchd.configure(scope, hosts[0] as Host, {
    networks: [{ name: 'net', vni: 256 }],
    launcher: user.words(...launcher('4.14')),
  });
  await user.own(vswitchd.folder);
  await vswitchd.start();
  const c1 = await user.container(scope, 'c1', 1);
  const c2 = await user.container(scope, 'c2', 2);
  await vswitchd.ctl(...attachment(c1));
  await vswitchd.ctl(...attachment(c2));
  await expectPing(c1, { to: c2.address[4] });
  const names = async () => (await vswitchd.network('net')).ports.map(({ name }) => name);
  expect(await names()).toEqual(['c1', 'c2']);
  await c2.init.stop('SIGKILL');
  await eventually('end of the port', async () => !(await names()).includes('c2'));
  expect(await names()).toEqual(['c1']);
}, 60_000);
