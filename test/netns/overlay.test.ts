/**
 * Hosts that know each other from a store alone: no peer is named.
 *
 *   c1 ── vswitchd (host a) ══ underlay ══ vswitchd (host b) ── c2
 *                                 └ etcd
 */

import { beforeAll, expect, test } from 'vitest';
import type {
  EndpointView,
  HostView,
  NeighborView,
  NetworkView,
  PortView,
  StatusView,
} from '../../src/control/views.js';
import { disagreements } from '../support/agreement.js';
import type { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import type { Namespace } from '../support/netns.js';
import { expectPing, ping } from '../support/ping.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';
import { STORE_ADDRESS, STORE_URL, startWireEtcd } from '../support/wireEtcd.js';

const PREFIX = 'test';
const scope = fileScope();
let a: Vswitchd;
let b: Vswitchd;
let c1: Container;
let c2: Container;
let etcd: Child;
let wire: Namespace;

/** Attaches the container; answers with the address that it got, without prefix length. */
async function attach(host: Vswitchd, { name, namespace }: Container, ...more: string[]) {
  const args = ['--name', name, '--netns', namespace.name, ...more];
  const port = await host.ctl<PortView>('port', 'add', 'net1', ...args);
  return port.addresses[0]?.split('/')[0] ?? 'none';
}

/** All that the store has below our prefix, by key. */
async function contents(): Promise<Map<string, string>> {
  const args = [
    '--endpoints',
    `http://${STORE_ADDRESS}:2379`,
    'get',
    '--prefix',
    `${PREFIX}/`,
    '-w',
    'json',
  ];
  const text = await wire.exec('etcdctl', ['--command-timeout', '5s', ...args], {
    env: { ETCDCTL_API: '3' },
  });
  const { kvs = [] } = JSON.parse(text) as { kvs?: { key: string; value: string }[] };
  const plain = (base64: string) => Buffer.from(base64, 'base64').toString();
  return new Map(kvs.map(({ key, value }) => [plain(key).slice(PREFIX.length + 1), plain(value)]));
}

/** Every host's tables are the store's. */
async function agree(...hosts: Vswitchd[]): Promise<void> {
  await eventually("tables that are the store's", async () => {
    const store = await contents();
    expect(store.size).toBeGreaterThan(0);
    for (const host of hosts) {
      const tables = {
        vtep: host.host.address[4],
        networks: await host.ctl<NetworkView[]>('network', 'ls'),
        fdb: await host.fdb(),
        neighbors: await host.ctl<NeighborView[]>('neighbor', 'show'),
      };
      expect(disagreements(store, tables)).toEqual([]);
    }
    return true;
  });
}

const neighbors = (host: Vswitchd) => host.ctl<NeighborView[]>('neighbor', 'show', 'net1');
const stateOf = async (host: Vswitchd, ip: string) =>
  (await neighbors(host)).find((item) => item.ip === ip)?.state;

beforeAll(async () => {
  const underlay = await createUnderlay(scope, { hosts: ['a', 'b'] });
  wire = underlay.wire;
  etcd = await startWireEtcd(scope, wire);
  const [hostA, hostB] = underlay.hosts;
  if (hostA === undefined || hostB === undefined) throw new Error('two hosts');
  const spec = { networks: [], store: STORE_URL };
  a = await Vswitchd.start(scope, hostA, spec);
  b = await Vswitchd.start(scope, hostB, spec);
  c1 = await createContainer(scope, 'c1', 2);
  c2 = await createContainer(scope, 'c2', 3);
});

test('a network made on one host is on the other, whose containers get addresses of their own', async () => {
  await a.ctl('network', 'add', 'net1', '--subnet', '10.0.0.0/24', '--gateway', '10.0.0.1');
  const [network] = await eventually('net1 on host b', async () => {
    const networks = await b.ctl<NetworkView[]>('network', 'ls');
    return networks.length > 0 && networks;
  });
  expect(network).toMatchObject({
    ...{ name: 'net1', vni: 256, source: 'store', owner: 'people', members: [] },
    pools: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }],
  });
  const addresses = [await attach(a, c1), await attach(b, c2)];
  expect(addresses).toEqual(['10.0.0.2', '10.0.0.3']);
  await expectPing(c1, { to: '10.0.0.3' });
  await expectPing(c2, { to: '10.0.0.2' });
});

test('the tables of each host name the containers of the other', async () => {
  await eventually(
    'c2 in the tables of host a',
    async () => (await stateOf(a, '10.0.0.3')) === 'live',
  );
  expect(await neighbors(a)).toEqual([
    { network: 'net1', ip: '10.0.0.2', mac: c1.mac, state: 'local' },
    { network: 'net1', ip: '10.0.0.3', mac: c2.mac, vtep: '10.200.0.2', state: 'live' },
  ]);
  expect(await a.fdb('net1')).toContainEqual(
    expect.objectContaining({ mac: c2.mac, origin: 'control', vtep: '10.200.0.2' }),
  );
  expect(await b.fdb('net1')).toContainEqual(
    expect.objectContaining({ mac: c1.mac, origin: 'control', vtep: '10.200.0.1' }),
  );
  const endpoints = await b.ctl<EndpointView[]>('endpoint', 'ls');
  expect(endpoints.map(({ name, host, addresses }) => [name, host, addresses])).toEqual([
    ['c1', '10.200.0.1', ['10.0.0.2/24']],
    ['c2', '10.200.0.2', ['10.0.0.3/24']],
  ]);
  await agree(a, b);
  const hosts = await a.ctl<HostView[]>('host', 'ls');
  expect(hosts.map(({ address, state, self }) => [address, state, self])).toEqual([
    ['10.200.0.1', 'live', true],
    ['10.200.0.2', 'live', false],
  ]);
});

test('a container that leaves is forgotten, and its address comes back last', async () => {
  const c3 = await createContainer(scope, 'c3', 4);
  expect(await attach(b, c3)).toBe('10.0.0.4');
  await eventually('c3 known to host a', async () => (await stateOf(a, '10.0.0.4')) === 'live');
  await b.ctl('port', 'rm', 'c3');
  await eventually('c3 forgotten', async () => (await stateOf(a, '10.0.0.4')) === undefined);
  expect(await attach(b, c3)).toBe('10.0.0.5');
  await expectPing(c1, { to: '10.0.0.5' });
});

test('a container may send under its own address alone', async () => {
  const before = await a.drops('rx.spoof_ip');
  await c1.namespace.ip('address add 10.0.0.77/24 dev eth0');
  const result = await c1.namespace.tryExec('ping', [
    ...['-c', '1', '-W', '1', '-I', '10.0.0.77', '10.0.0.3'],
  ]);
  expect(result.exitCode).not.toBe(0);
  expect(await a.drops('rx.spoof_ip')).toBeGreaterThan(before);
  await c1.namespace.ip('address del 10.0.0.77/24 dev eth0');
});

test('with the store frozen traffic goes on, and a container with an address is attached', async () => {
  etcd.signal('SIGSTOP');
  const degraded = (host: Vswitchd) =>
    eventually(
      'the store is missed',
      async () => (await host.ctl<StatusView>('status')).store.state === 'degraded',
      { within: 30_000 },
    );
  await Promise.all([degraded(a), degraded(b)]);
  await expectPing(c1, { to: '10.0.0.3' });
  const c6 = await createContainer(scope, 'c6', 6);
  expect(await attach(a, c6, '--address', '10.0.0.66/24')).toBe('10.0.0.66');
  await expectPing(c6, { to: '10.0.0.2' });
  await expect(attach(a, await createContainer(scope, 'c7', 7))).rejects.toThrow(
    'cannot reach the store',
  );
  etcd.signal('SIGCONT');
  await eventually('c6 known to host b', async () => (await stateOf(b, '10.0.0.66')) === 'live', {
    within: 30_000,
  });
  await expectPing(c2, { to: '10.0.0.66' });
  const connected = async () => (await a.ctl<StatusView>('status')).store.state === 'connected';
  await eventually('the store is back', connected, { within: 30_000 });
  await agree(a, b);
});

test('of a host that died the entries go; it comes back with its containers', async () => {
  await b.kill();
  await eventually('host b is lost', async () => (await stateOf(a, '10.0.0.3')) === 'dead', {
    within: 40_000,
  });
  const remote = (await a.fdb('net1')).filter((entry) => entry.origin === 'control');
  expect(remote).toEqual([]);
  await agree(a);
  await b.start();
  await eventually('host b is back', async () => (await stateOf(a, '10.0.0.3')) === 'live', {
    within: 20_000,
  });
  await expectPing(c1, { to: '10.0.0.3' });
  await agree(a, b);
});

test('a network that others use is not removed; one that nobody else uses goes with its ports', async () => {
  await expect(a.ctl('network', 'rm', 'net1')).rejects.toThrow(
    'it has endpoints, such as c2 on host',
  );
  expect((await ping(c1, { to: '10.0.0.3' })).received).toBe(3);
  await b.ctl('purge');
  await eventually(
    'host b has left',
    async () => (await a.ctl<HostView[]>('host', 'ls')).length === 1,
  );
  await a.ctl('network', 'rm', 'net1');
  expect(await a.ctl<NetworkView[]>('network', 'ls')).toEqual([]);
  expect((await c1.namespace.tryExec('ip', ['link', 'show', 'eth0'])).exitCode).not.toBe(0);
  await eventually(
    'net1 gone',
    async () => (await b.ctl<NetworkView[]>('network', 'ls')).length === 0,
  );
});
