/** What the guest's kernel lacks; and that an image with the modules in it does not pass for one without. */

import { expect, it } from 'vitest';
import { Microvm } from '../support/microvm.js';
import { testScope } from '../support/testScope.js';
import { proveNoVxlan } from './guest.js';

it('has neither vxlan nor bridges nor other tunnels, and can get none', async () => {
  const guest = await Microvm.boot(testScope(), { name: 'proof', modules: ['veth', 'tun'] });
  await proveNoVxlan(guest);
});

it('is told from a kernel that has them', async () => {
  const modules = ['veth', 'tun', 'vxlan', 'geneve', 'bridge'];
  const guest = await Microvm.boot(testScope(), { name: 'control', modules });
  const { code, stdout } = await guest.try('sh /proof.sh');
  expect(stdout).toContain('disproof: in the image: /lib/modules/');
  expect(stdout).toContain('disproof: the kernel has the symbol vxlan_xmit');
  expect(stdout).toContain('disproof: the kernel has the symbol br_handle_frame');
  for (const type of ['vxlan', 'geneve', 'bridge']) {
    expect(stdout).toContain(`disproof: \`ip link add type ${type}\` succeeds`);
  }
  expect(code).toBe(1);
});
