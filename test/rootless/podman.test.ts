// Containers of rootless Podman, attached by the user who started them.

import { beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { OrdinaryUser } from '../support/ordinaryUser.js';
import { RootlessPodman } from '../support/rootlessPodman.js';
import { fileScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
const user = new OrdinaryUser(21_505);
let vswitchd: Vswitchd;
let podman: RootlessPodman;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one'] });
  const [one] = hosts as [Host];
  vswitchd = await Vswitchd.start(scope, one, { user, networks: [{ name: 'net1', vni: 256 }] });
  podman = await RootlessPodman.create(scope, user);
}, 120_000);

/** Names of the ports that are up. */
async function portsUp(): Promise<string[]> {
  const { ports } = await vswitchd.network('net1');
  return ports.flatMap(({ name, state }) => (state === 'up' ? [name] : []));
}

async function attach(name: string, address: string): Promise<string> {
  const pid = await podman.container(name);
  const where = ['--rootless', pid, '--name', name, '--address', `${address}/24`];
  return await podman.ctl(vswitchd, 'port', 'add', 'net1', ...where);
}

async function ping(name: string, to: string): Promise<void> {
  const answer = await podman.run('exec', name, 'ping', '-c', '1', '-w', '20', to);
  expect(answer).toMatch(/ 0% packet loss/);
}

test('two containers reach each other until one is removed, which removes its port', async () => {
  expect(await attach('c1', '10.0.0.1')).toBe('added port c1 to network net1, address 10.0.0.1/24');
  await attach('c2', '10.0.0.2');
  expect(await portsUp()).toEqual(['c1', 'c2']);
  await ping('c1', '10.0.0.2');

  await podman.run('rm', '-f', '-t', '0', 'c2');
  await eventually('end of the port', async () => !(await portsUp()).includes('c2'));
  expect(await portsUp()).toEqual(['c1']);
  expect((await vswitchd.tryCtl('history')).stdout).toMatch(/c2.*its container has ended/);

  await attach('c2', '10.0.0.2');
  // c1 remembers the MAC of the one that is gone; this one has the same, for it has the same address.
  await ping('c1', '10.0.0.2');
}, 120_000);
