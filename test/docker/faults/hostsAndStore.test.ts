/** What goes wrong around running containers: the store, the cables, a host; and what is a lot of work. */

import { Client } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type DockerScope,
  PREFIX,
  sharedLab,
  type TestHost,
  type TestLab,
} from '../../support/dockerLab.js';
import { atMost, eventually } from '../../support/eventually.js';
import { Pinger } from '../../support/pinger.js';
import type { Scope } from '../../support/scope.js';
import { testScope } from '../../support/testScope.js';

describe.each<DockerScope>(['global', 'local'])('with networks of %s scope', (dockerScope) => {
  let lab: TestLab;
  sharedLab({ scope: dockerScope }, (made) => {
    lab = made;
  });
  afterEach(() => lab.agreed(30_000));

  const pair = async (scope: Scope, network: string, flags: readonly string[] = []) => {
    const [h1, h2] = lab.hosts;
    await lab.network(scope, network, flags);
    const near = await lab.run(scope, h1, { name: `${network}-a`, network });
    const far = await lab.run(scope, h2, { name: `${network}-b`, network });
    return { near, far };
  };

  it('a container that moves to another host with its address is found there at once', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    const subnet = ['--subnet', '10.3.1.0/24'];
    await lab.network(scope, 'move', subnet, subnet);
    const clients = [
      await lab.run(scope, h1, { name: 'client1', network: 'move' }),
      await lab.run(scope, h2, { name: 'client2', network: 'move' }),
    ];
    for (const [from, to] of [
      [h2, h1],
      [h1, h2],
    ] as const) {
      const spec = { name: 'mover', network: 'move', flags: ['--ip', '10.3.1.50'] };
      await lab.run(scope, from, spec);
      for (const client of clients) await client.reaches('10.3.1.50');
      await from.docker('rm', '-f', 'mover');
      await lab.run(scope, to, spec);
      const began = Date.now();
      for (const client of clients) {
        await client.machineExec(['ping', '-c', '1', '-i', '0.05', '-w', '10', '10.3.1.50']);
        console.log(
          `moved to ${to.name}: ${client.name} had an answer after ${Date.now() - began} ms`,
        );
      }
      await to.docker('rm', '-f', 'mover');
    }
  });

  it('100 cycles of connect and disconnect leave TCP on another network alone', async () => {
    const scope = testScope();
    const { near, far } = await pair(scope, 'load');
    const [h1] = lab.hosts;
    await lab.network(scope, 'cycles');
    const victim = await lab.run(scope, h1, { name: 'victim', network: 'load' });
    const server = await far.spawn(scope, ['iperf3', '-s', '-1', '--forceflush']);
    await server.waitForLine(/Server listening/);
    const load = ['iperf3', '-c', await far.address(), '-t', '600', '-b', '200M', '--forceflush'];
    const client = await near.spawn(scope, load);
    await client.waitForLine(/bits\/sec/);
    for (let n = 0; n < 100; n += 1) {
      await h1.docker('network', 'connect', 'cycles', victim.name);
      await h1.docker('network', 'disconnect', 'cycles', victim.name);
    }
    const transfers = () =>
      [...client.stdout.matchAll(/([\d.]+) [KMG]?bits\/sec/g)].map(([, rate]) => Number(rate));
    const before = transfers().length;
    await eventually('TCP still flows', () =>
      transfers()
        .slice(before)
        .some((rate) => rate > 0),
    );
    expect(transfers().filter((rate) => rate === 0)).toEqual([]);
    await h1.docker('network', 'connect', 'cycles', victim.name);
    const peer = await lab.run(scope, far.host, { name: 'cycles-b', network: 'cycles' });
    await victim.reaches(peer.name);
  }, 280_000);

  it('garbage in the store is reported, left alone, and harms nothing', async () => {
    const scope = testScope();
    const { near, far } = await pair(scope, 'clean');
    const garbage = new Map([
      ['endpoints/clean/zzz', 'not JSON'],
      ['networks/clean2', '{"version":99}'],
      ['addresses/clean/10.0.0.300', '{}'],
      ['nobody/knows', 'this'],
    ]);
    for (const [key, value] of garbage) {
      await scope.defer(key, () => lab.etcd.control('del', `${PREFIX}${key}`));
      await lab.etcd.control('put', `${PREFIX}${key}`, value);
    }
    for (const host of lab.hosts) {
      await eventually(`${host.name} reports it`, async () => {
        const { store } = await host.ctl<{ store: { garbage: number } }>('status');
        return store.garbage === garbage.size;
      });
      for (const key of garbage.keys()) expect(host.host.log('vswitchd')).toContain(key);
    }
    await near.reaches(far.name);
    const late = await lab.run(scope, far.host, { name: 'clean-c', network: 'clean' });
    await near.reaches(late.name);
    const stored = await lab.stored();
    for (const [key, value] of garbage) expect(stored.get(key)).toBe(value);
  });

  it('a host without the store for a minute goes on, and all agree after it', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    const { near, far } = await pair(scope, 'cut');
    const beside = await lab.run(scope, h1, { name: 'cut-c', network: 'cut' });
    const goer = await lab.run(scope, h2, { name: 'cut-d', network: 'cut' });
    const local = await Pinger.start(scope, near, await beside.address());
    const remote = await Pinger.start(scope, near, await far.address());
    await lab.cutFromStore(scope, h1);
    const healed = Date.now() + 60_000;
    await h2.docker('rm', '-f', goer.name);
    if (dockerScope === 'local') await lab.run(scope, h2, { name: 'cut-e', network: 'cut' });
    while (Date.now() < healed) {
      await local.goesOn();
      await remote.goesOn();
    }
    await lab.mendStore(h1);
    await lab.agreed(30_000);
    const late = await lab.run(scope, h1, { name: 'cut-f', network: 'cut' });
    await far.reaches(late.name);
  }, 200_000);

  it('a host that dies is withdrawn from the others, and is welcome when it returns', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    const { near, far } = await pair(scope, 'power');
    await near.reaches(far.name);
    await h2.host.powerOff();
    await eventually(
      'h2 is gone from the FDB of h1',
      async () => !JSON.stringify(await h1.ctl('fdb', 'show')).includes(h2.address),
      { within: 30_000 },
    );
    await lab.boot(h2);
    if (dockerScope === 'local') await h2.docker('network', 'create', ...lab.driver, 'power');
    // Docker's cluster store still has the name of the container that died.
    else await h1.docker('network', 'disconnect', '-f', 'power', far.name);
    const back = await lab.run(scope, h2, { name: 'power-b', network: 'power' });
    await near.reaches(await back.address());
  });
});

describe('with the store frozen', () => {
  // With Docker's own cluster store in the same etcd, dockerd itself would hang.
  let lab: TestLab;
  sharedLab({ scope: 'local' }, (made) => {
    lab = made;
  });

  it('every call of Docker is answered within 5 s, and traffic goes on', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'ice', ['--subnet', '10.4.0.0/24']);
    const near = await lab.run(scope, h1, { name: 'ice-a', network: 'ice' });
    const far = await lab.run(scope, h2, { name: 'ice-b', network: 'ice' });
    const traffic = await Pinger.start(scope, near, await far.address());
    await scope.defer('etcd thawed', () => lab.etcd.signal('SIGCONT'));
    lab.etcd.signal('SIGSTOP');

    const id = '0'.repeat(64);
    const data = [{ AddressSpace: 'vswitch', Pool: '10.4.1.0/24', Gateway: '10.4.1.1/24' }];
    const bodies = {
      'Plugin.Activate': {},
      'NetworkDriver.GetCapabilities': {},
      'NetworkDriver.CreateNetwork': { NetworkID: id, Options: {}, IPv4Data: data, IPv6Data: [] },
      'NetworkDriver.CreateEndpoint': {
        NetworkID: id,
        EndpointID: id,
        Interface: { Address: '10.4.1.2/24', AddressIPv6: '', MacAddress: '' },
        Options: {},
      },
      'NetworkDriver.Join': {
        NetworkID: id,
        EndpointID: id,
        SandboxKey: '/var/run/docker/netns/none',
        Options: {},
      },
      'NetworkDriver.Leave': { NetworkID: id, EndpointID: id },
      'NetworkDriver.DeleteEndpoint': { NetworkID: id, EndpointID: id },
      'NetworkDriver.DeleteNetwork': { NetworkID: id },
      'IpamDriver.GetDefaultAddressSpaces': {},
      'IpamDriver.RequestPool': {
        AddressSpace: 'vswitch',
        Pool: '',
        SubPool: '',
        Options: {},
        V6: false,
      },
    };
    for (const [method, body] of Object.entries(bodies)) {
      await atMost(method, 5_500, callPlugin(h1, method, body));
    }
    const refused = await h1.tryDocker('run', '-d', '--name', 'ice-c', '--net', 'ice', 'bb');
    await scope.defer('container ice-c', () => h1.tryDocker('rm', '-f', 'ice-c'));
    expect(refused.output).toMatch(/store/);
    await atMost('docker rm', 15_000, h1.docker('rm', '-f', 'ice-c'));
    await traffic.goesOn();

    lab.etcd.signal('SIGCONT');
    const thawed = await eventually('a container starts', () =>
      lab.run(scope, h1, { name: 'ice-d', network: 'ice' }),
    );
    await far.reaches(await thawed.address());
    await lab.agreed(30_000);
  });
});

async function callPlugin(host: TestHost, method: string, body: unknown): Promise<unknown> {
  const socketPath = host.host.path('/run/docker/plugins/vswitch.sock');
  const client = new Client('http://plugin', { socketPath });
  try {
    const answer = await client.request({
      method: 'POST',
      path: `/${method}`,
      body: JSON.stringify(body),
    });
    return await answer.body.json();
  } finally {
    await client.close();
  }
}
