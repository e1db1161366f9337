import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { SwitchError } from '../../../src/model/error.js';
import { PluginHost } from '../../support/dockerPlugin.js';
import { eventually } from '../../support/eventually.js';
import { FakeClusterStore } from '../../support/fakeDockerd.js';
import { FakeOverlay } from '../../support/fakeDockerHost.js';

const ID = 'c0ffee'.repeat(10);

/** Two hosts of one overlay, each with a dockerd of its own. */
async function twoHosts(cluster?: FakeClusterStore) {
  const overlay = new FakeOverlay();
  const a = await PluginHost.running(overlay, cluster);
  const b = await PluginHost.running(overlay, cluster);
  return { overlay, a, b };
}

const joined = (host: PluginHost, id: string) =>
  eventually('the network is joined', () =>
    host.host.networks().find(({ docker_id }) => docker_id === id),
  );

describe('the plugin socket', () => {
  it('says what we are, to requests without body, type and host', async () => {
    const { dockerd } = await PluginHost.running();
    expect(await dockerd.call('Plugin.Activate')).toEqual({
      Implements: ['NetworkDriver', 'IpamDriver'],
    });
    expect(await dockerd.call('IpamDriver.GetDefaultAddressSpaces')).toEqual({
      LocalDefaultAddressSpace: 'vswitch-local',
      GlobalDefaultAddressSpace: 'vswitch-global',
    });
  });

  it('tells dockerd the scope that fits it', async () => {
    const alone = await PluginHost.running();
    expect(await alone.dockerd.call('NetworkDriver.GetCapabilities')).toEqual({
      Scope: 'local',
      ConnectivityScope: 'global',
    });
    const cluster = await PluginHost.running(undefined, new FakeClusterStore());
    expect(await cluster.dockerd.call('NetworkDriver.GetCapabilities')).toMatchObject({
      Scope: 'global',
    });
    // It starts its containers before its API answers.
    await cluster.dockerd.stop();
    await cluster.stop();
    await cluster.start();
    expect(await cluster.dockerd.call('NetworkDriver.GetCapabilities')).toMatchObject({
      Scope: 'global',
    });
  });

  it.each([
    ['a call that nobody knows', 'NetworkDriver.AllocateNetwork', {}, /AllocateNetwork is not off/],
    [
      'no ID',
      'NetworkDriver.CreateEndpoint',
      {},
      /does not fit NetworkDriver.CreateEndpoint .*NetworkID/,
    ],
    [
      'an ID that is a path',
      'NetworkDriver.Join',
      { NetworkID: '../../x' },
      /NetworkID: .* an ID of Docker/,
    ],
    ['a list', 'IpamDriver.RequestPool', [], /does not fit/],
    ['nothing', 'IpamDriver.RequestAddress', undefined, /does not fit/],
  ])('refuses %s in one readable line', async (_, call, body, reason) => {
    const { dockerd } = await PluginHost.running();
    const refusal = await dockerd.call(call, body).then(String, (error: Error) => error.message);
    expect(refusal).toMatch(reason);
    expect(refusal).not.toContain('\n');
  });

  it('takes the place of a dead one, and goes with us', async () => {
    const plugin = await PluginHost.running();
    const { socket, dockerd } = plugin;
    await plugin.stop();
    await expect(stat(socket)).rejects.toMatchObject({ code: 'ENOENT' });
    const dead = createServer();
    await new Promise<void>((listening) => dead.listen(`${socket}.dead`, listening));
    await import('node:fs/promises').then(({ rename }) => rename(`${socket}.dead`, socket));
    await new Promise((closed) => dead.close(closed));
    await plugin.start();
    expect(await dockerd.call('Plugin.Activate')).toHaveProperty('Implements');
  });

  it('is refused where another program answers', async () => {
    const plugin = await PluginHost.running();
    await plugin.stop();
    const other = createServer();
    await new Promise<void>((listening) => other.listen(plugin.socket, listening));
    onTestFinished(() => void other.close());
    await expect(plugin.start()).rejects.toMatchObject({ code: 'SOCKET_UNUSABLE' });
  });
});

describe('a network', () => {
  it('is joined under the name that dockerd gives it later', async () => {
    const { dockerd, host } = await PluginHost.running();
    const id = await dockerd.createNetwork({ name: 'net1', options: { vni: '4242', mtu: '1400' } });
    await eventually('it is joined', () => host.networks()[0]);
    expect(host.networks()).toEqual([
      {
        name: 'net1',
        vni: 4242,
        mtu: 1400,
        pools: [{ subnet: '10.99.0.0/24', gateway: '10.99.0.1' }],
        docker_id: id,
        docker_scope: 'local',
      },
    ]);
    await dockerd.removeNetwork(id);
    expect(host.networks()).toEqual([]);
  });

  it('is the same on every host where Docker makes one of that name', async () => {
    const { overlay, a, b } = await twoHosts();
    const onA = await a.dockerd.createNetwork({ name: 'net1' });
    await joined(a, onA);
    const onB = await b.dockerd.createNetwork({ name: 'net1' });
    await joined(b, onB);
    // What `docker network inspect` shows on the second host.
    expect(b.dockerd.networks.get(onB)?.pools[0]?.subnet).toBe('10.99.0.0/24');
    const first = await a.dockerd.run('c1', onA);
    const second = await b.dockerd.run('c2', onB);
    expect(first.addresses[0]?.address).toBe('10.99.0.2/24');
    expect(second.addresses[0]?.address).toBe('10.99.0.3/24');
    await a.dockerd.remove('c1');
    await a.dockerd.removeNetwork(onA);
    expect([...overlay.networks.keys()]).toEqual(['net1']);
    await b.dockerd.remove('c2');
    await b.dockerd.removeNetwork(onB);
    expect(overlay.networks.size).toBe(0);
  });

  it('made on two hosts at the same moment is one', async () => {
    const { overlay, a, b } = await twoHosts();
    const [onA, onB] = await Promise.all([
      a.dockerd.createNetwork({ name: 'net1' }),
      b.dockerd.createNetwork({ name: 'net1' }),
    ]);
    const [first, second] = await Promise.all([a.dockerd.run('c1', onA), b.dockerd.run('c2', onB)]);
    expect(overlay.networks.size).toBe(1);
    const addresses = [first, second].map((endpoint) => endpoint.addresses[0]?.address);
    expect(new Set(addresses).size).toBe(2);
  });

  it('is that of the host that was first, whatever Docker shows on the other', async () => {
    const { a, b } = await twoHosts();
    let go = () => {};
    b.host.trouble.set('join', new Promise<void>((resolve) => (go = resolve)));
    const onB = await b.dockerd.createNetwork({ name: 'net1' });
    await eventually('it is being joined', () => b.host.calls.includes('join net1'));
    await joined(a, await a.dockerd.createNetwork({ name: 'net1' }));
    go();
    expect(b.dockerd.networks.get(onB)?.pools[0]?.subnet).toBe('10.99.100.0/24');
    expect(await joined(b, onB)).toMatchObject({ pools: [{ subnet: '10.99.0.0/24' }] });
    expect((await b.dockerd.run('c2', onB)).addresses[0]?.address).toBe('10.99.0.2/24');
  });

  it('gets the addresses of its own name when Docker shows a subnet that was guessed wrong', async () => {
    const { overlay, a } = await twoHosts();
    overlay.add('red', 300, '10.3.0.0/24');
    overlay.add('blue', 301, '10.4.0.0/24');
    const id = await a.dockerd.createNetwork({ name: 'blue' });
    const endpoint = await a.dockerd.run('c1', id);
    expect(endpoint.addresses[0]?.address).toBe('10.4.0.2/24');
    expect(a.log).toContainEqual(
      expect.objectContaining({ network: 'blue', shown: '10.99.0.0/24', real: '10.4.0.0/24' }),
    );
    const named = await a.dockerd.createNetwork({ name: 'red', ipamOptions: { network: 'red' } });
    expect(a.dockerd.networks.get(named)?.pools[0]?.subnet).toBe('10.3.0.0/24');
  });

  it('of the cluster store is known on a host that was told nothing', async () => {
    const { a, b } = await twoHosts(new FakeClusterStore());
    for (const { dockerd } of [a, b]) await dockerd.activate();
    const id = await a.dockerd.createNetwork({ name: 'net1' });
    const second = await b.dockerd.run('c2', id);
    const first = await a.dockerd.run('c1', id);
    expect([first, second].map(({ addresses }) => addresses[0]?.address)).toEqual([
      '10.99.0.3/24',
      '10.99.0.2/24',
    ]);
    await b.dockerd.remove('c2');
    await a.dockerd.remove('c1');
    // Typed where it was not made.
    await b.dockerd.removeNetwork(id);
    expect(a.host.overlay.networks.size).toBe(0);
  });

  it('that Docker removed while we were away does not hold its name', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const old = await dockerd.createNetwork({ name: 'net1', options: { vni: '7' } });
    await joined(plugin, old);
    await plugin.stop();
    dockerd.networks.delete(old);
    await plugin.start();
    const id = await dockerd.createNetwork({ name: 'net1', options: { vni: '8' } });
    await joined(plugin, id);
    expect(host.networks()).toMatchObject([{ name: 'net1', vni: 8, docker_id: id }]);
  });

  it('that could not be left is left as soon as the store answers', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const id = await dockerd.createNetwork({ name: 'net1' });
    await joined(plugin, id);
    host.trouble.set('leave', new SwitchError('STORE_DOWN', 'etcd'));
    await dockerd.removeNetwork(id);
    expect(host.networks()).toHaveLength(1);
    host.trouble.clear();
    // Also by the next run.
    await plugin.stop();
    await plugin.start();
    await eventually('it is left', () => host.networks().length === 0);
  });

  it('made again before it could be left is kept', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const old = await dockerd.createNetwork({ name: 'net1' });
    await joined(plugin, old);
    host.trouble.set('leave', new SwitchError('STORE_DOWN', 'etcd'));
    await dockerd.removeNetwork(old);
    const id = await dockerd.createNetwork({ name: 'net1' });
    host.trouble.clear();
    await joined(plugin, id);
    await plugin.stop();
    await plugin.start();
    await dockerd.run('c1', id);
    await eventually('all is settled', () => host.endpoints()[0]?.name === 'c1');
    expect(host.networks()).toMatchObject([{ name: 'net1', docker_id: id }]);
  });

  it('removed on one host while another is joining it does not stay', async () => {
    const { overlay, a, b } = await twoHosts(new FakeClusterStore());
    for (const { dockerd } of [a, b]) await dockerd.activate();
    let go = () => {};
    a.host.trouble.set('join', new Promise<void>((resolve) => (go = resolve)));
    const id = await a.dockerd.createNetwork({ name: 'net1' });
    await eventually('it is being joined', () => a.host.calls.includes('join net1'));
    await b.dockerd.removeNetwork(id);
    go();
    await eventually('it is left', () => b.host.calls.includes('leave net1'));
    await eventually('it is gone', () => overlay.networks.size === 0);
  });

  it.each([
    [{ encrypted: '' }, /encrypted.*encrypt the underlay/],
    [{ vin: '5' }, /vin: unknown key, did you mean `vni`/],
    [{ vni: '0' }, /vni: "0" is refused; allowed: a VNI: a whole number 1-16777215/],
    [{ vni: '5x' }, /vni: "5x" is refused/],
    [{ mtu: '20' }, /mtu: "20" is refused/],
    [{ peers: '10.0.0.2,nowhere' }, /peers: .* is refused; allowed: VTEP addresses/],
    [{ 'com.docker.network.driver.overlay.vxlanid_list': '7001,7002' }, /allowed: one VNI/],
    [
      { vni: '5', 'com.docker.network.driver.overlay.vxlanid_list': '6' },
      /what .* says, which is 6/,
    ],
    [{ port_security: 'on' }, /port_security: .*auto or off/],
  ])('with the options %j is refused', async (options, reason) => {
    const { dockerd, host } = await PluginHost.running();
    await expect(dockerd.createNetwork({ name: 'net1', options })).rejects.toThrow(reason);
    expect(host.calls).toEqual([]);
  });

  it("takes the options of Docker's own overlay driver", async () => {
    const plugin = await PluginHost.running();
    const id = await plugin.dockerd.createNetwork({
      name: 'net1',
      options: {
        'com.docker.network.driver.overlay.vxlanid_list': '5555',
        'com.docker.network.driver.mtu': '1300',
      },
    });
    expect(await joined(plugin, id)).toMatchObject({ vni: 5555, mtu: 1250 });
  });

  it('with several subnets of one family is refused', async () => {
    const { dockerd } = await PluginHost.running();
    const subnets = ['10.1.0.0/24', '10.2.0.0/24'];
    await expect(dockerd.createNetwork({ name: 'net1', subnets })).rejects.toThrow(
      /several subnets/,
    );
  });

  it('with a VNI that another network of this Docker has is refused', async () => {
    const plugin = await PluginHost.running();
    const options = { vni: '4242' };
    await joined(plugin, await plugin.dockerd.createNetwork({ name: 'net1', options }));
    await expect(plugin.dockerd.createNetwork({ name: 'net2', options })).rejects.toThrow(
      /VNI 4242: network net1 has it/,
    );
  });

  it('whose subnet is not the one of that name is refused, with the reason, at its first use', async () => {
    const { a, b } = await twoHosts();
    await joined(a, await a.dockerd.createNetwork({ name: 'net1', subnets: ['10.6.0.0/24'] }));
    const id = await b.dockerd.createNetwork({ name: 'net1', subnets: ['10.66.0.0/24'] });
    await expect(b.dockerd.run('c1', id)).rejects.toThrow(/cannot join network net1/);
    await expect(
      b.dockerd.createNetwork({
        name: 'net2',
        subnets: ['10.66.0.0/24'],
        ipamOptions: { network: 'net1' },
      }),
    ).rejects.toThrow(/its subnet is 10.6.0.0\/24/);
  });
});

describe('an endpoint', () => {
  it('has a MAC made of its address, and the TAP that Join names', async () => {
    const { dockerd, host } = await PluginHost.running();
    const id = await dockerd.createNetwork({
      name: 'net1',
      subnets: ['10.6.0.0/24', 'fd00:6::/64'],
    });
    const endpoint = await dockerd.run('c1', id);
    expect(host.endpoints()).toMatchObject([
      {
        id: endpoint.id,
        network: 'net1',
        mac: '02:42:0a:06:00:02',
        addresses: ['10.6.0.2/24', 'fd00:6::2/64'],
        ifname: `vs${endpoint.id.slice(0, 10)}`,
        sandbox: '/var/run/docker/netns/c1',
      },
    ]);
    const { body } = dockerd.sent.find(({ call }) => call === 'NetworkDriver.Join')!;
    expect(await dockerd.call('NetworkDriver.Join', body)).toEqual({
      InterfaceName: { SrcName: `vs${endpoint.id.slice(0, 10)}`, DstPrefix: 'eth' },
    });
  });

  it('keeps the MAC that it was given, and dockerd is not told it again', async () => {
    const plugin = await PluginHost.running();
    const NetworkID = await plugin.dockerd.createNetwork({
      name: 'net1',
      subnets: ['10.6.0.0/24'],
    });
    const Interface = {
      Address: '10.6.0.99/24',
      AddressIPv6: 'fd00:4::99/64',
      MacAddress: '02:AA:bb:cc:dd:ee',
    };
    const answer = await plugin.dockerd.call('NetworkDriver.CreateEndpoint', {
      NetworkID,
      EndpointID: ID,
      Interface,
      Options: { 'com.docker.network.endpoint.macaddress': 'Aqq7zN3u' },
    });
    expect(answer).toEqual({});
    await plugin.dockerd.call('NetworkDriver.Join', {
      NetworkID,
      EndpointID: ID,
      SandboxKey: '/var/run/docker/netns/x',
    });
    expect(plugin.host.endpoints()).toMatchObject([{ mac: '02:aa:bb:cc:dd:ee' }]);
  });

  it('is left alone by Leave, and gone after DeleteEndpoint', async () => {
    const { dockerd, host } = await PluginHost.running();
    const id = await dockerd.createNetwork({ name: 'net1' });
    const { id: EndpointID } = await dockerd.run('c1', id);
    await dockerd.call('NetworkDriver.Leave', { NetworkID: id, EndpointID });
    expect(host.endpoints()).toHaveLength(1);
    await dockerd.remove('c1');
    expect(host.overlay.leftovers()).toEqual([]);
  });

  it('that nobody knows can be deleted any number of times', async () => {
    const { dockerd } = await PluginHost.running();
    const unknown = { NetworkID: ID, EndpointID: ID };
    for (const call of ['Leave', 'DeleteEndpoint', 'DeleteEndpoint', 'DeleteNetwork']) {
      expect(await dockerd.call(`NetworkDriver.${call}`, unknown)).toEqual({});
    }
    const pool = { PoolID: '10.0.0.0/24,00000000', Address: '10.0.0.9' };
    expect(await dockerd.call('IpamDriver.ReleaseAddress', pool)).toEqual({});
    expect(await dockerd.call('IpamDriver.ReleasePool', pool)).toEqual({});
  });

  it('of a network that dockerd does not know is refused', async () => {
    const { dockerd } = await PluginHost.running();
    const asked = dockerd.call('NetworkDriver.CreateEndpoint', {
      NetworkID: ID,
      EndpointID: ID,
      Interface: {},
    });
    await expect(asked).rejects.toThrow(/cannot use network c0ffeec0ffee: Docker does not know it/);
  });

  it('outlives a restart of ours between its creation and its Join', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const NetworkID = await dockerd.createNetwork({ name: 'net1' });
    await joined(plugin, NetworkID);
    const asked = { NetworkID, EndpointID: ID, Interface: { Address: '10.99.0.9/24' } };
    await dockerd.call('NetworkDriver.CreateEndpoint', asked);
    await plugin.stop();
    await plugin.start();
    await dockerd.call('NetworkDriver.Join', {
      NetworkID,
      EndpointID: ID,
      SandboxKey: '/var/run/docker/netns/x',
    });
    expect(host.endpoints()).toMatchObject([{ id: ID, addresses: ['10.99.0.9/24'] }]);
  });

  it("with an address of Docker's own IPAM is refused where another host has it", async () => {
    const { overlay, a, b } = await twoHosts();
    const wish = { name: 'net1', subnets: ['10.6.0.0/24'], ipam: 'default' };
    const onA = await a.dockerd.createNetwork(wish);
    const onB = await b.dockerd.createNetwork(wish);
    await a.dockerd.run('c1', onA, '10.6.0.2');
    await expect(b.dockerd.run('c2', onB, '10.6.0.2')).rejects.toThrow(/10.6.0.2/);
    await a.dockerd.remove('c1');
    await b.dockerd.run('c2', onB, '10.6.0.2');
    await b.dockerd.remove('c2');
    expect(overlay.leftovers()).toEqual([]);
  });

  it('that cannot be attached leaves nothing', async () => {
    const { dockerd, host } = await PluginHost.running();
    const id = await dockerd.createNetwork({ name: 'net1' });
    host.trouble.set('attach', new SwitchError('NO_TUN', 'c1'));
    await expect(dockerd.run('c1', id)).rejects.toThrow(/dev\/net\/tun is missing/);
    expect(host.overlay.leftovers()).toEqual([]);
  });

  it('is named after its container', async () => {
    const { dockerd, host } = await PluginHost.running();
    const id = await dockerd.createNetwork({ name: 'net1' });
    await dockerd.run('c1', id);
    dockerd.containers.get('c1')!.aliases = ['c1', 'web'];
    await eventually('it is named', () => host.endpoints()[0]?.name === 'c1');
  });
});

describe('addresses', () => {
  it('of the gateway and of --aux-address are nobody else’s', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const id = await dockerd.createNetwork({
      name: 'net1',
      subnets: ['10.6.0.0/24'],
      gateway: '10.6.0.254',
      aux: ['10.6.0.2'],
    });
    expect(dockerd.networks.get(id)?.pools[0]?.gateway).toBe('10.6.0.254/24');
    await joined(plugin, id);
    expect(host.networks()[0]?.pools).toEqual([{ subnet: '10.6.0.0/24', gateway: '10.6.0.254' }]);
    await eventually('it is reserved', () => host.overlay.leftovers().length === 1);
    const endpoint = await dockerd.run('c1', id);
    expect(endpoint.addresses[0]?.address).toBe('10.6.0.3/24');
    await expect(dockerd.run('c2', id, '10.6.0.2')).rejects.toThrow(/somebody has it/);
    await dockerd.remove('c1');
    expect(host.overlay.leftovers()).toEqual(['reserved 10.6.0.2 of net1']);
  });

  it.each([
    ['a gateway', { gateway: '10.7.0.1' }],
    ['an --aux-address', { aux: ['10.7.0.1'] }],
  ])('outside the subnet are refused as %s', async (_, wish) => {
    const { dockerd } = await PluginHost.running();
    const asked = dockerd.createNetwork({ name: 'net1', subnets: ['10.6.0.0/24'], ...wish });
    await expect(asked).rejects.toThrow(/10.7.0.1: it is not in 10.6.0.0\/24/);
  });

  it('of networks made at once are never mixed up', async () => {
    const { dockerd, host } = await PluginHost.running();
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const ids = await Promise.all(names.map((name) => dockerd.createNetwork({ name })));
    const endpoints = await Promise.all(ids.map((id, at) => dockerd.run(`c${at}`, id)));
    for (const [at, name] of names.entries()) {
      const network = host.networks().find((one) => one.name === name)!;
      expect(network.docker_id).toBe(ids[at]);
      expect(network.pools[0]?.subnet).toBe(dockerd.networks.get(ids[at]!)?.pools[0]?.subnet);
      const prefix = network.pools[0]!.subnet.replace('0/24', '');
      expect(endpoints[at]?.addresses[0]?.address).toBe(`${prefix}2/24`);
    }
  });

  it('of two networks with the same subnet are those of their own network', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const subnets = ['10.6.0.0/24'];
    const [red, blue] = await Promise.all([
      dockerd.createNetwork({ name: 'red', subnets }),
      dockerd.createNetwork({ name: 'blue', subnets }),
    ]);
    await dockerd.run('c1', red);
    await dockerd.run('c2', red);
    await dockerd.run('c3', blue);
    expect(host.overlay.leftovers().filter((text) => text.endsWith('of red'))).toHaveLength(2);
    expect(host.overlay.leftovers().filter((text) => text.endsWith('of blue'))).toHaveLength(1);
  });

  it('are given also by a run that has lost its memory', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const id = await dockerd.createNetwork({ name: 'net1' });
    await joined(plugin, id);
    await dockerd.createNetwork({ name: 'net2' });
    await plugin.stop();
    plugin.memory.text = '{"version": 99}';
    await plugin.start();
    await dockerd.run('c1', id);
    expect(host.overlay.leftovers()).toContain('endpoint 10.99.0.2 of net1');
    await dockerd.remove('c1');
    expect(host.overlay.leftovers()).toEqual([]);
  });

  it('that could not be given back are given back later', async () => {
    const plugin = await PluginHost.running();
    const { dockerd, host } = plugin;
    const id = await dockerd.createNetwork({ name: 'net1' });
    await dockerd.run('c1', id);
    host.trouble.set('release', new SwitchError('STORE_DOWN', 'etcd'));
    await dockerd.remove('c1');
    expect(host.overlay.leftovers()).toHaveLength(1);
    host.trouble.clear();
    await plugin.stop();
    await plugin.start();
    await eventually('it is free', () => host.overlay.leftovers().length === 0);
  });

  it('of an IPv6 network come from the subnet that it must name', async () => {
    const { dockerd } = await PluginHost.running();
    const pool = { Pool: '', SubPool: '', Options: {}, V6: true };
    await expect(dockerd.call('IpamDriver.RequestPool', pool)).rejects.toThrow(
      /IPv6 network without a subnet.*--subnet/,
    );
  });

  it('of a pool that dockerd forgot do not hold up others', async () => {
    const { dockerd } = await PluginHost.running();
    const pool = { Pool: '10.6.0.0/24', SubPool: '', Options: null, V6: false };
    await dockerd.call('IpamDriver.RequestPool', pool);
    // dockerd was killed before CreateNetwork.
    const id = await dockerd.createNetwork({ name: 'net1', subnets: ['10.6.0.0/24'] });
    expect((await dockerd.run('c1', id)).addresses[0]?.address).toBe('10.6.0.2/24');
  });
});

describe('names of other hosts', () => {
  it('stand in the hosts file of a container, in place, while they are there', async () => {
    const { overlay, a, b } = await twoHosts();
    const onA = await a.dockerd.createNetwork({ name: 'net1' });
    await joined(a, onA);
    const onB = await b.dockerd.createNetwork({ name: 'net1' });
    await a.dockerd.run('c1', onA);
    const path = join(a.folder, 'hosts');
    await writeFile(path, '127.0.0.1\tlocalhost\n10.99.0.2\tc1\n');
    const { ino } = await stat(path);
    Object.assign(a.dockerd.containers.get('c1')!, { hostsPath: path });
    await b.dockerd.run('c2', onB);
    const lines = () => readFile(path, 'utf8').then((text) => text.split('\n'));
    await eventually('c2 is named', async () => (await lines()).includes('10.99.0.3\tc2 c2.net1'));
    expect((await stat(path)).ino).toBe(ino);
    expect(await readFile(path, 'utf8')).not.toMatch(/c1\.net1/);
    await b.dockerd.remove('c2');
    await eventually(
      'c2 is gone',
      async () => (await readFile(path, 'utf8')) === '127.0.0.1\tlocalhost\n10.99.0.2\tc1\n',
    );
    expect(overlay.leftovers()).toHaveLength(2);
  });
});
