/**
 * A container runtime's calls to vswitch-cni, with addresses from the store's pools.
 *
 *   c1 ── vswitchd (host a) ══ underlay ══ vswitchd (host b) ── c2
 *                                 └ etcd
 */

import { beforeAll, describe, expect, it } from 'vitest';
import type { EndpointView } from '../../src/control/views.js';
import { failureOf, runPlugin, VSWITCH_CNI } from '../support/cni.js';
import { eventually } from '../support/eventually.js';
import { fileScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';
import { STORE_URL, startWireEtcd } from '../support/wireEtcd.js';
import { addressOf, container, Node, reach } from './node.js';

const scope = fileScope();
let a: Node;
let b: Node;

beforeAll(async () => {
  const { hosts, wire } = await createUnderlay(scope, { hosts: ['a', 'b'] });
  await startWireEtcd(scope, wire);
  const spec = { networks: [], store: STORE_URL };
  const start = async (host: Host) => new Node(await Vswitchd.start(scope, host, spec));
  [a, b] = [await start(hosts[0] as Host), await start(hosts[1] as Host)];
  await a.vswitchd.ctl('network', 'add', 'net1', '--subnet', '10.30.0.0/24');
  await known('net1');
});

async function known(network: string): Promise<void> {
  await eventually(`${network} at host b`, async () =>
    (await b.networks()).some(({ name }) => name === network),
  );
}

describe('ADD', () => {
  it('joins containers of two hosts', async () => {
    const [c1, c2] = [await container('c1'), await container('c2')];
    const first = await a.add(c1);
    const second = await b.add(c2);
    expect(first).toEqual({
      cniVersion: '1.1.0',
      interfaces: [
        {
          name: 'eth0',
          mac: expect.stringMatching(/^02:42:0a:1e:00:/),
          mtu: 1450,
          sandbox: c1.path,
        },
      ],
      ips: [{ address: expect.stringMatching(/^10\.30\.0\.\d+\/24$/), interface: 0 }],
      routes: [],
      dns: {},
    });
    expect(addressOf(first)).not.toBe(addressOf(second));
    await reach(c1, addressOf(second));
    await reach(c2, addressOf(first));
  });

  it.each(['0.3.1', '0.4.0'])('answers in version %s', async (cniVersion) => {
    const result = await a.add(await container('c1'), { cniVersion });
    expect(result).toMatchObject({
      cniVersion,
      interfaces: [{ name: 'eth0' }],
      ips: [{ version: '4', interface: 0 }],
    });
    expect(result.interfaces?.[0]).not.toHaveProperty('mtu');
  });

  it('answers in version 1.0.0', async () => {
    const result = await a.add(await container('c1'), { cniVersion: '1.0.0' });
    expect(result.cniVersion).toBe('1.0.0');
    expect(result.ips?.[0]).not.toHaveProperty('version');
    expect(result.interfaces?.[0]).not.toHaveProperty('mtu');
  });

  it('gives the MAC, addresses and MTU that are asked for', async () => {
    const c1 = await container('c1');
    const runtimeConfig = { mac: '02:42:aa:bb:cc:01', ips: ['10.30.0.77'] };
    const result = await a.add(c1, { runtimeConfig, mtu: 1300 });
    expect(result).toMatchObject({
      interfaces: [{ mac: '02:42:aa:bb:cc:01', mtu: 1300 }],
      ips: [{ address: '10.30.0.77/24' }],
    });
    const [link] = await c1.ipJson<{ address: string; mtu: number; flags: string[] }[]>(
      ...['link', 'show', 'eth0'],
    );
    expect(link).toMatchObject({ address: '02:42:aa:bb:cc:01', mtu: 1300 });
    const endpoints = await b.vswitchd.ctl<EndpointView[]>('endpoint', 'ls', 'net1');
    expect(endpoints.map(({ mac }) => mac)).toContain('02:42:aa:bb:cc:01');
  });

  it('gives what CNI_ARGS ask for, unless runtimeConfig asks too', async () => {
    const variables = { CNI_ARGS: 'IgnoreUnknown=1;IP=10.30.0.78;MAC=02:42:aa:bb:cc:02' };
    const runtimeConfig = { mac: '02:42:aa:bb:cc:03' };
    const result = await a.add(await container('c1'), { runtimeConfig }, variables);
    expect(result.interfaces?.[0]?.mac).toBe('02:42:aa:bb:cc:03');
    expect(addressOf(result)).toBe('10.30.0.78');
  });

  it('makes the network where it is missing and the configuration says how', async () => {
    const more = { name: 'made', subnet: '10.31.0.0/24' };
    const [c1, c2] = [await container('c1'), await container('c2')];
    const first = await a.add(c1, more);
    expect(addressOf(first)).toMatch(/^10\.31\.0\./);
    await known('made');
    const second = await b.add(c2, more);
    await reach(c1, addressOf(second));
  });

  it('refuses an address that another host gave', async () => {
    const asked = { runtimeConfig: { ips: ['10.30.0.90'] } };
    await a.add(await container('c1'), asked);
    const failure = await failureOf(b.call('ADD', await container('c2'), asked));
    expect(failure).toMatchObject({ code: 100, details: 'vswitchd says ADDRESS_TAKEN' });
  });
});

describe('the routes of the configuration', () => {
  const more = {
    ipam: { routes: [{ dst: '0.0.0.0/0', gw: '10.30.0.254' }, { dst: '10.99.0.0/16' }] },
  };

  it('are set in the container and told', async () => {
    const c1 = await container('c1');
    const result = await a.add(c1, more);
    expect(result.routes).toEqual(more.ipam.routes);
    const routes = await c1.ipJson<{ dst: string; gateway?: string; dev: string }[]>('route');
    expect(routes).toContainEqual(
      expect.objectContaining({ dst: 'default', gateway: '10.30.0.254', dev: 'eth0' }),
    );
    expect(routes).toContainEqual(expect.objectContaining({ dst: '10.99.0.0/16', dev: 'eth0' }));
  });

  it('cost the attachment when they cannot be set', async () => {
    const c1 = await container('c1');
    const ipam = { routes: [{ dst: '0.0.0.0/0', gw: '192.0.2.1' }] };
    const failure = await failureOf(a.call('ADD', c1, { ipam }));
    expect(failure.code).toBe(100);
    expect(failure.details).toMatch(/route replace 0\.0\.0\.0\/0 via 192\.0\.2\.1 dev eth0/);
    expect(await a.ports()).toEqual([]);
    expect(await c1.ipJson('link', 'show', 'type', 'tun')).toEqual([]);
  });
});

describe('a refusal', () => {
  it('names the network that is not there', async () => {
    const failure = await failureOf(a.call('ADD', await container('c1'), { network: 'nowhere' }));
    expect(failure).toMatchObject({ code: 7, details: 'vswitchd says NETWORK_UNKNOWN' });
  });

  it('names the container that is not there', async () => {
    const variables = { CNI_NETNS: '/run/netns/vs-never-made' };
    const failure = await failureOf(a.call('ADD', await container('c1'), {}, variables));
    expect(failure.code).toBe(3);
    expect(await a.ports()).toEqual([]);
  });

  it('asks to try again when no vswitchd answers', async () => {
    const socket = `${a.vswitchd.folder}/nobody.sock`;
    const c1 = await container('c1');
    for (const command of ['ADD', 'DEL']) {
      expect((await failureOf(a.call(command, c1, { socket }))).code).toBe(11);
    }
  });

  it('lists the parameters that are missing', async () => {
    const failure = await failureOf(a.call('ADD', undefined, {}, { CNI_IFNAME: 'a/b' }));
    expect(failure.code).toBe(4);
    for (const name of ['CNI_CONTAINERID is missing', 'CNI_NETNS is missing', 'CNI_IFNAME=a/b']) {
      expect(failure.details).toContain(name);
    }
  });

  it('is told of what is no JSON', async () => {
    const env = { CNI_COMMAND: 'STATUS', CNI_PATH: '/nowhere', PATH: process.env.PATH ?? '' };
    expect((await failureOf(runPlugin([VSWITCH_CNI], env, '{"cniVersion":'))).code).toBe(6);
  });

  it('is told of versions that are not spoken', async () => {
    const failure = await failureOf(a.call('ADD', await container('c1'), { cniVersion: '0.2.0' }));
    expect(failure).toMatchObject({ code: 1 });
    expect(failure.message).toMatch('0.3.1, 0.4.0, 1.0.0, 1.1.0');
  });
});
