import { describe, expect, it } from 'vitest';
import { dockerHostOf } from '../../../src/daemon/dockerHost.js';
import type { DockerHost, DockerNetwork } from '../../../src/docker/host.js';
import { contains, parseCidr } from '../../../src/model/ip.js';
import { parseMac } from '../../../src/model/mac.js';
import { FakeOverlay, SELF } from '../../support/fakeOverlay.js';

const NET: DockerNetwork = {
  ...{ name: 'net1', scope: 'local', id: 'd1', peers: [], port_security: true },
  pools: [{ subnet: '10.9.0.0/24', gateway: '10.9.0.1' }],
};
const ENDPOINT = {
  ...{ network: 'net1', id: 'e1', ifname: 'vse1', sandbox: '/run/docker/netns/s', name: 'web' },
  ...{ mac: parseMac('02:42:0a:09:00:05')!, addresses: ['10.9.0.5/24'], aliases: ['w'] },
};

async function started(file: readonly object[] = []): Promise<[FakeOverlay, DockerHost]> {
  const fake = await FakeOverlay.started(file);
  return [fake, dockerHostOf(fake)];
}

describe('a network that Docker makes', () => {
  it('is made in the store, or joined there; any number of times', async () => {
    const [fake, host] = await started();
    const docker = { docker_id: 'd1', docker_scope: 'local' };
    const expected = { name: 'net1', vni: 257, mtu: 1450, pools: NET.pools, ...docker };
    expect(await host.join(NET)).toEqual(expected);
    expect(await host.join(NET)).toEqual(expected);
    expect(host.networks()).toEqual([expected]);
    expect(fake.sharing.state.networks.get('net1')).toMatchObject({ owner: 'docker' });
  });

  it('of global scope is one by its ID, and nobody enters it', async () => {
    const [fake, host] = await started();
    await host.join({ ...NET, scope: 'global', vni: 400, mtu: 1300, port_security: false });
    expect(fake.sharing.state.networks.get('net1')).toMatchObject({
      ...{ owner: 'docker-cluster', docker_id: 'd1' },
      network: { vni: 400, mtu: 1300, port_security: 'off' },
    });
    expect(fake.sharing.state.members.size).toBe(0);
    expect(host.networks()).toMatchObject([{ docker_id: 'd1', docker_scope: 'global' }]);
  });

  it('that is known already is joined while the store is away', async () => {
    const [fake, host] = await started();
    await host.join(NET);
    fake.sharing.become({}, { state: 'degraded' });
    expect(await host.join(NET)).toMatchObject({ name: 'net1' });
    await expect(host.join({ ...NET, name: 'net2' })).rejects.toMatchObject({ code: 'STORE_DOWN' });
  });

  it('may have peers for a life without store', async () => {
    const [fake, host] = await started();
    const peers = ['10.200.0.7', '10.200.0.8:4790', SELF];
    await host.join({ ...NET, peers });
    await host.join({ ...NET, peers });
    const remotes = fake.running('net1')?.tunnels.map((t) => `${t.remote}:${t.udpPort}`);
    expect(remotes).toEqual(['10.200.0.7:4789', '10.200.0.8:4790']);
  });

  it('is refused under the name of one in the file', async () => {
    const [, host] = await started([{ name: 'net1', vni: 5 }]);
    await expect(host.join(NET)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('the configuration file has one of that name'),
    });
  });

  it('with a VNI that the file has here is refused with the reason', async () => {
    const [, host] = await started([{ name: 'filed', vni: 300 }]);
    await expect(host.join({ ...NET, vni: 300 })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('network filed has it'),
    });
  });

  it('is left with its containers, and unknown ones are no error', async () => {
    const [fake, host] = await started();
    await host.join({ ...NET, peers: ['10.200.0.7'] });
    await host.attach(ENDPOINT);
    await host.leave('net1');
    await host.leave('net1');
    expect(fake.sharing.state.networks.size).toBe(0);
    expect([fake.host.taps, fake.saved.ports, fake.saved.peers]).toEqual([[], [], []]);
  });
});

describe('a container', () => {
  it('is attached once, known by its names, and gone after it is detached', async () => {
    const [fake, host] = await started();
    await host.join(NET);
    let changes = 0;
    host.onChange(() => {
      changes += 1;
    });
    expect(await host.attach(ENDPOINT)).toEqual({ ifname: 'vse1' });
    expect(await host.attach(ENDPOINT)).toEqual({ ifname: 'vse1' });
    expect(host.endpoints()).toEqual([ENDPOINT]);
    expect(changes).toBeGreaterThan(0);
    fake.sharing.host('10.200.0.2', 'net1', {
      ...{ mac: '02:42:0a:09:00:06', addresses: ['10.9.0.6/24'], name: 'db', aliases: [] },
    });
    expect(host.names('net1')).toEqual([
      { name: 'web', addresses: ['10.9.0.5'] },
      { name: 'w', addresses: ['10.9.0.5'] },
      { name: 'db', addresses: ['10.9.0.6'] },
    ]);
    await host.detach('e1');
    await host.detach('e1');
    expect(host.endpoints()).toEqual([]);
    expect(fake.host.taps).toEqual([]);
  });

  it('of an unknown network is refused, and leaves nothing', async () => {
    const [fake, host] = await started();
    await expect(host.attach(ENDPOINT)).rejects.toMatchObject({ code: 'NETWORK_UNKNOWN' });
    expect(fake.host.taps).toEqual([]);
  });
});

it('a free subnet is in use neither in the store, nor on this host, nor where it shall not be', async () => {
  const [fake, host] = await started();
  fake.host.probe.interfaces.push({
    ...{ ifname: 'eth1', mtu: 1500, up: true, addresses: ['10.112.1.7/24'] },
  });
  await host.join({ ...NET, pools: [{ subnet: '10.112.0.0/24' }] });
  const given = await Promise.all(
    Array.from({ length: 40 }, () => host.freeSubnet(['10.112.2.0/24'])),
  );
  for (const taken of ['10.112.0.9', '10.112.1.9', '10.112.2.9']) {
    const ip = { family: 4, address: taken } as const;
    expect(given.filter((subnet) => contains(parseCidr(subnet)!, ip))).toEqual([]);
  }
  expect(new Set(given).size).toBeGreaterThan(1);
});
