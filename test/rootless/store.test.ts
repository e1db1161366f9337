/**
 * Hosts of two ordinary users that know each other from a store alone.
 *
 *   c1 ── vswitchd of u1 (host a) ══ underlay ══ vswitchd of u2 (host b) ── c2
 *                                       └ etcd
 */

import { beforeAll, expect, test } from 'vitest';
import type { EndpointView, NetworkView, PortView } from '../../src/control/views.js';
import { eventually } from '../support/eventually.js';
import { OrdinaryUser, type UserContainer } from '../support/ordinaryUser.js';
import { expectPing } from '../support/ping.js';
import { fileScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';
import { STORE_URL, startWireEtcd } from '../support/wireEtcd.js';

const scope = fileScope();
const [u1, u2] = [new OrdinaryUser(21_506), new OrdinaryUser(21_507)];
let a: Vswitchd;
let b: Vswitchd;
let c1: UserContainer;
let c2: UserContainer;

/** Without an address: the store has some. Answers with what it got, without prefix length. */
async function attach(user: OrdinaryUser, host: Vswitchd, { name, init }: UserContainer) {
  const where = ['--rootless', `${init.pid}`, '--name', name];
  const { exitCode, stdout, stderr } = await user.ctl(
    host,
    ...['--json', 'port', 'add', 'net1', ...where],
  );
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const { addresses } = JSON.parse(stdout) as PortView;
  return addresses[0]?.split('/')[0];
}

const endpoints = async (host: Vswitchd) =>
  (await host.ctl<EndpointView[]>('endpoint', 'ls')).map(
    ({ name, host: address, addresses, state }) => [name, address, addresses[0], state],
  );

beforeAll(async () => {
  const { hosts, wire } = await createUnderlay(scope, { hosts: ['a', 'b'] });
  const [hostA, hostB] = hosts as [Host, Host];
  await startWireEtcd(scope, wire);
  const spec = { networks: [], store: STORE_URL };
  a = await Vswitchd.start(scope, hostA, { ...spec, user: u1 });
  b = await Vswitchd.start(scope, hostB, { ...spec, user: u2 });
  c1 = await u1.container(scope, 'c1', 2);
  c2 = await u2.container(scope, 'c2', 3);
  await a.ctl('network', 'add', 'net1', '--subnet', '10.0.0.0/24', '--gateway', '10.0.0.1');
  await eventually('net1 on host b', async () => {
    return (await b.ctl<NetworkView[]>('network', 'ls')).length > 0;
  });
}, 90_000);

test('containers get addresses of the store, and each host knows those of the other', async () => {
  expect(await attach(u1, a, c1)).toBe('10.0.0.2');
  expect(await attach(u2, b, c2)).toBe('10.0.0.3');
  await expectPing(c1, { to: c2.address[4] });
  const both = [
    ['c1', a.host.address[4], '10.0.0.2/24', 'live'],
    ['c2', b.host.address[4], '10.0.0.3/24', 'live'],
  ];
  for (const host of [a, b]) {
    await eventually(`both at host ${host.host.name}`, async () => {
      expect(await endpoints(host)).toEqual(both);
      return true;
    });
  }
});

test('iperf3 runs between the two', async () => {
  const server = await c2.namespace.spawn(scope, { command: 'iperf3', args: ['-s', '-1'] });
  await eventually('iperf3 listens', async () => {
    return (await c2.namespace.exec('ss', ['-Hltn', 'sport = 5201'])) !== '';
  });
  const args = ['-J', '-c', c2.address[4], '-n', `${BYTES}`];
  const { end } = JSON.parse(await c1.namespace.exec('iperf3', args));
  expect(end.sum_sent.bytes).toBeGreaterThanOrEqual(BYTES);
  // The server stops counting when it hears that all was sent, though some is still on its way.
  expect(end.sum_received.bytes).toBeGreaterThan(0.9 * BYTES);
  await server.exited;
}, 120_000);

test('after a restart its container is attached again, with the address that it had', async () => {
  await b.stop();
  await b.start();
  expect(await attach(u2, b, c2)).toBe('10.0.0.3');
  await expectPing(c1, { to: c2.address[4] });
}, 120_000);

test('a container that ends is gone from the store, and its address is free', async () => {
  await c2.init.stop('SIGKILL');
  await eventually('end of c2 at host a', async () => {
    expect(await endpoints(a)).toEqual([['c1', a.host.address[4], '10.0.0.2/24', 'live']]);
    return true;
  });
  const c3 = await u2.container(scope, 'c3', 4);
  const asked = ['port', 'add', 'net1', '--rootless', `${c3.init.pid}`, '--name', 'c3'];
  const { exitCode, stderr } = await u2.ctl(b, ...asked, '--address', '10.0.0.3/24');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  await expectPing(c1, { to: '10.0.0.3' });
});

const BYTES = 200_000_000;
