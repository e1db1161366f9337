/** Many hosts over a real etcd of three members, and what goes wrong with it. */

import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { EtcdCluster } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { wish } from '../support/sharedHosts.js';
import { TcpProxy } from '../support/tcpProxy.js';
import { fileScope, testScope } from '../support/testScope.js';
import { Fleet, type FleetHost } from './fleet.js';

const scope = fileScope();
let cluster: EtcdCluster;
let prefix = 0;

beforeAll(async () => {
  cluster = await EtcdCluster.start(scope, { members: 3 });
}, 60_000);
beforeEach(() => {
  prefix += 1;
});

const url = () => cluster.url(`faults/${prefix}`);
const same = (count: number) => Array.from({ length: count }, url);
const pools = (third: number) => [{ subnet: `10.${third}.0.0/16` }];

/** Hosts attach and detach without a break until `stop`; what the store refuses meanwhile is no failure. */
function churn(fleet: Fleet, networks: readonly string[]) {
  let isOver = false;
  const works = fleet.hosts.map(async (host: FleetHost, at) => {
    for (let turn = at; !isOver; turn++) {
      await host.attach(networks[turn % networks.length] ?? '').catch(() => delay(50));
      if (host.attached.length > 3) host.detach();
      await delay(20);
    }
  });
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(works);
    },
  };
}

function expectUnique(fleet: Fleet): void {
  const all = fleet.hosts.flatMap(({ attached }) =>
    attached.map(({ network, addresses }) => `${network} ${addresses[0]}`),
  );
  expect(new Set(all).size).toBe(all.length);
}

it('1,000 endpoints on 50 hosts are known everywhere', async () => {
  const networks = Array.from({ length: 5 }, (_, at) => `net${at}`);
  const fleet = await Fleet.start(testScope(), same(50));
  for (const [at, name] of networks.entries()) {
    await fleet.host(at).sharing.createNetwork(wish(name, { pools: pools(at) }));
  }
  const before = fleet.traffic();
  const start = performance.now();
  await Promise.all(
    fleet.hosts.map(async (host) => {
      for (let at = 0; at < 20; at++) await host.attach(networks[at % networks.length] ?? '');
    }),
  );
  const attached = Math.round(performance.now() - start);
  const settled = await fleet.agreed();
  expectUnique(fleet);
  const { sent, received } = fleet.traffic();
  console.log(
    `50 hosts attached 1,000 endpoints in ${attached} ms and agreed ${settled} ms later (as seen by one process); ` +
      `${kilo(sent - before.sent)} kB went to the store and ${kilo(received - before.received)} kB came from it`,
  );
  const moved = performance.now();
  const added = await fleet.host(0).attach('net0');
  await eventually(
    'the newest endpoint is known everywhere',
    () =>
      fleet.hosts.every(
        ({ sharing }) => sharing.state.endpoints.get('net0')?.has(added.id) === true,
      ),
    { every: 2 },
  );
  console.log(`one more is known to all after ${Math.round(performance.now() - moved)} ms`);
  for (const host of fleet.hosts) {
    host.attached = [];
    host.sharing.announce([]);
  }
  await fleet.agreed();
}, 240_000);

const kilo = (bytes: number) => Math.round(bytes / 1000);

it('the store’s leader is killed under churn', async () => {
  const fleet = await Fleet.start(testScope(), same(10));
  await fleet.host(0).sharing.createNetwork(wish('n', { pools: pools(1) }));
  const running = churn(fleet, ['n']);
  await delay(1_000);
  const leader = await eventually('a leader', () => cluster.leader());
  await leader.kill();
  await delay(5_000);
  await running.stop();
  await fleet.agreed();
  expectUnique(fleet);
  await leader.start();
  await fleet.agreed();
}, 120_000);

it('a host that is cut off for a minute keeps what it knew, and all agree after', async () => {
  const proxies = await Promise.all(
    cluster.members.map(({ address }) => TcpProxy.start(scope, address)),
  );
  const cut = `etcd://${proxies.map(({ address }) => address).join(',')}/faults/${prefix}`;
  const fleet = await Fleet.start(testScope(), [...same(4), cut]);
  const lonely = fleet.host(4);
  await fleet.host(0).sharing.createNetwork(wish('n', { pools: pools(1) }));
  for (const host of fleet.hosts) await host.attach('n');
  await lonely.attach('n');
  await fleet.agreed();
  for (const proxy of proxies) proxy.cut();
  await eventually('it is told', () => lonely.sharing.health.state === 'degraded', {
    within: 30_000,
  });
  const known = lonely.sharing.state.endpoints;
  await eventually(
    'the others call it lost',
    () => fleet.host(0).sharing.state.hosts.get(lonely.vtep)?.state === 'lost',
    { within: 40_000 },
  );
  await fleet.host(1).attach('n');
  fleet.host(2).detach();
  lonely.detach();
  await delay(45_000);
  expect(lonely.sharing.state.endpoints).toBe(known);
  for (const proxy of proxies) proxy.mend();
  await fleet.agreed();
}, 180_000);

it('the store forgets its revisions while a host is cut off and others watch', async () => {
  const proxies = await Promise.all(
    cluster.members.map(({ address }) => TcpProxy.start(scope, address)),
  );
  const cut = `etcd://${proxies.map(({ address }) => address).join(',')}/faults/${prefix}`;
  const fleet = await Fleet.start(testScope(), [...same(3), cut]);
  await fleet.host(0).sharing.createNetwork(wish('n', { pools: pools(1) }));
  for (const host of fleet.hosts) await host.attach('n');
  for (const proxy of proxies) proxy.cut();
  for (let at = 0; at < 10; at++) await fleet.host(at % 3).attach('n');
  const status = JSON.parse(await cluster.control(['endpoint', 'status', '-w', 'json']));
  await cluster.control(['compact', String(status[0].Status.header.revision)]);
  for (const proxy of proxies) {
    proxy.mend();
    proxy.reset();
  }
  await fleet.host(1).attach('n');
  await fleet.agreed();
}, 120_000);

it('a store full of garbage under our prefix loses nothing', async () => {
  const fleet = await Fleet.start(testScope(), same(3));
  await fleet.host(0).sharing.createNetwork(wish('n', { pools: pools(1) }));
  const garbage = Array.from({ length: 30 }, (_, at) => [
    `faults/${prefix}/addresses/n/10.1.0.${at * 2 + 1}`,
    `faults/${prefix}/endpoints/n/garbage-${at}`,
    `faults/${prefix}/hosts/10.250.0.${at + 1}`,
    `faults/${prefix}/networks/g${at}`,
    `faults/${prefix}/strange/${at}`,
  ]).flat();
  for (const key of garbage) await cluster.control(['put', key, `\u{1f4a5} {"version": ${key}`]);
  for (const host of fleet.hosts) for (let at = 0; at < 5; at++) await host.attach('n');
  await eventually('all hosts know it', () => {
    for (const { sharing } of fleet.hosts) {
      expect(sharing.state.endpoints.get('n')?.size).toBe(15);
      expect(sharing.state.networks.size).toBe(1);
      expect(sharing.state.hosts.size).toBe(3);
      expect(sharing.health).toMatchObject({ state: 'connected', conflicts: [] });
      expect(sharing.health.garbage).toHaveLength(100);
    }
    return true;
  });
  expectUnique(fleet);
  const { kvs } = JSON.parse(
    await cluster.control(['get', '--prefix', '--keys-only', `faults/${prefix}/`, '-w', 'json']),
  );
  const keys = kvs.map(({ key }: { key: string }) => Buffer.from(key, 'base64').toString());
  expect(keys).toEqual(expect.arrayContaining(garbage));
}, 120_000);

it('a store that is emptied gets everything back', async () => {
  const fleet = await Fleet.start(testScope(), same(10));
  await fleet.host(0).sharing.createNetwork(wish('n', { pools: pools(1) }));
  await fleet.host(1).sharing.createNetwork(wish('m'));
  for (const host of fleet.hosts) for (let at = 0; at < 3; at++) await host.attach('n');
  await fleet.agreed();
  const networks = fleet.host(0).sharing.state.networks;
  const fewest = fleet.hosts.map(({ sharing }) => {
    const seen = { endpoints: Number.POSITIVE_INFINITY };
    sharing.onChange(() => {
      const { size = 0 } = sharing.state.endpoints.get('n') ?? {};
      seen.endpoints = Math.min(seen.endpoints, size);
    });
    return seen;
  });
  await cluster.control(['del', '--prefix', `faults/${prefix}/`]);
  await fleet.agreed();
  expect(fewest.map(({ endpoints }) => endpoints)).toEqual(fewest.map(() => 30));
  expect(fleet.host(5).sharing.state.networks).toEqual(networks);
}, 120_000);

it('a store that is another, empty one after a loss gets everything back', async () => {
  const other = await EtcdCluster.start(testScope(), { members: 1 });
  const proxy = await TcpProxy.start(testScope(), cluster.members[0]?.address ?? '');
  const setting = `etcd://${proxy.address}/faults/${prefix}`;
  const fleet = await Fleet.start(
    testScope(),
    Array.from({ length: 5 }, () => setting),
  );
  await fleet.host(0).sharing.createNetwork(wish('n', { pools: pools(1) }));
  for (const host of fleet.hosts) await host.attach('n');
  await fleet.agreed();
  const before = fleet.host(0).sharing.state;
  proxy.target = other.members[0]?.address ?? '';
  proxy.reset();
  await fleet.agreed();
  expect(fleet.host(3).sharing.state.networks).toEqual(before.networks);
  expect(fleet.host(3).sharing.state.endpoints).toEqual(before.endpoints);
}, 120_000);
