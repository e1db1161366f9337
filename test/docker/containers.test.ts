/** `docker run`, `connect` and `disconnect`: addresses, names, ports, and the ways in and out. */

import { afterEach, describe, expect, it } from 'vitest';
import {
  type DockerScope,
  sharedLab,
  type TestContainer,
  type TestLab,
} from '../support/dockerLab.js';
import { eventually } from '../support/eventually.js';
import type { Scope } from '../support/scope.js';
import { testScope } from '../support/testScope.js';

describe.each<DockerScope>(['global', 'local'])(
  'a container in a network of %s scope',
  (dockerScope) => {
    let lab: TestLab;
    sharedLab({ scope: dockerScope }, (made) => {
      lab = made;
    });
    afterEach(() => lab.agreed());

    /** Two containers of one network, the first on h1, the second on h2. */
    const pair = async (scope: Scope, network: string, flags: readonly string[] = []) => {
      const [h1, h2] = lab.hosts;
      await lab.network(scope, network, flags);
      const near = await lab.run(scope, h1, { name: `${network}-a`, network });
      const far = await lab.run(scope, h2, { name: `${network}-b`, network });
      return { near, far };
    };

    it('reaches those on the same host and on others by address and by name', async () => {
      const scope = testScope();
      const { near, far } = await pair(scope, 'net1');
      const beside = await lab.run(scope, near.host, { name: 'net1-c', network: 'net1' });
      for (const [from, to] of [
        [near, far],
        [far, near],
        [near, beside],
        [beside, far],
        [far, beside],
      ] as const) {
        await from.reaches(await to.address());
        await from.reaches(to.name);
      }
    });

    it('has a TAP of vswitchd as eth0 and the MAC that its address gives', async () => {
      const scope = testScope();
      const { near } = await pair(scope, 'taps', ['--subnet', '10.2.3.0/24']);
      const [link] = JSON.parse(
        await near.machineExec(['ip', '-d', '-j', 'link', 'show', 'eth0']),
      ) as [{ readonly address: string; readonly linkinfo: { readonly info_kind: string } }];
      expect(link.linkinfo.info_kind).toBe('tun');
      const bytes = (await near.address())
        .split('.')
        .map((byte) => Number(byte).toString(16).padStart(2, '0'));
      expect(link.address).toBe(`02:42:${bytes.join(':')}`);
      expect(await near.mac()).toBe(link.address);
    });

    it('is not found by another network: neither its address nor its name', async () => {
      const scope = testScope();
      const { far } = await pair(scope, 'ours', ['--subnet', '10.2.4.0/24']);
      await lab.network(scope, 'theirs', ['--subnet', '10.2.5.0/24']);
      const stranger = await lab.run(scope, lab.hosts[0], {
        name: 'stranger',
        network: 'theirs',
        flags: ['--cap-add', 'NET_ADMIN'],
      });
      expect(await stranger.cannotReach(await far.address())).toBe(true);
      expect(await stranger.cannotReach(far.name)).toBe(true);
      await stranger.exec('ip', 'route', 'add', '10.2.4.0/24', 'dev', 'eth0');
      expect(await stranger.cannotReach(await far.address())).toBe(true);
    });

    it('gets the --ip and the --mac-address that it asks for', async () => {
      const scope = testScope();
      const [h1, h2] = lab.hosts;
      const subnet = ['--subnet', '10.2.6.0/24'];
      await lab.network(scope, 'fixed', subnet, subnet);
      const mac = '02:aa:bb:cc:dd:ee';
      const flags = ['--ip', '10.2.6.77', '--mac-address', mac];
      const a = await lab.run(scope, h1, { name: 'fixed1', network: 'fixed', flags });
      const b = await lab.run(scope, h2, { name: 'fixed2', network: 'fixed' });
      expect(await a.address()).toBe('10.2.6.77');
      expect(await a.exec('cat', '/sys/class/net/eth0/address')).toBe(mac);
      await b.reaches('10.2.6.77');
    });

    it('is refused an --ip that a container on another host has, with the reason', async () => {
      const scope = testScope();
      const [h1, h2] = lab.hosts;
      const subnet = ['--subnet', '10.2.7.0/24'];
      await lab.network(scope, 'taken', subnet, subnet);
      const flags = ['--ip', '10.2.7.9'];
      const first = await lab.run(scope, h1, { name: 'taken1', network: 'taken', flags });
      await scope.defer('container taken2', () => h2.tryDocker('rm', '-f', 'taken2'));
      const { code, output } = await h2.tryDocker(
        ...['run', '-d', '--name', 'taken2', '--net', 'taken', ...flags, 'bb'],
      );
      expect(code).not.toBe(0);
      expect(output).toMatch(/already in use|10\.2\.7\.9/);
      const other = await lab.run(scope, h2, { name: 'taken3', network: 'taken' });
      await other.reaches(await first.address());
    });

    it('never shares an address with one that starts at the same moment elsewhere', async () => {
      const scope = testScope();
      await lab.network(scope, 'many');
      const containers: TestContainer[] = [];
      for (let n = 0; n < 4; n += 1) {
        const started = lab.hosts.map((host) =>
          lab.run(scope, host, { name: `${host.name}-${n}`, network: 'many' }),
        );
        containers.push(...(await Promise.all(started)));
      }
      const addresses = await Promise.all(containers.map((container) => container.address()));
      expect(new Set(addresses).size).toBe(8);
    });

    it('is connected to another network and disconnected while it runs', async () => {
      const scope = testScope();
      const { near, far } = await pair(scope, 'home');
      await lab.network(scope, 'away', ['--subnet', '10.2.8.0/24']);
      const there = await lab.run(scope, lab.hosts[1], { name: 'there', network: 'away' });
      expect(await near.cannotReach(await there.address())).toBe(true);
      await near.host.docker('network', 'connect', 'away', near.name);
      await near.reaches('there');
      await there.reaches(await near.address('away'));
      await near.reaches(far.name);
      await near.host.docker('network', 'disconnect', 'away', near.name);
      expect(await near.cannotReach(await there.address())).toBe(true);
      await near.reaches(far.name);
    });

    it('is found under its aliases on other hosts', async () => {
      const scope = testScope();
      const { near, far } = await pair(scope, 'named');
      await lab.run(scope, far.host, {
        name: 'web-7',
        network: 'named',
        flags: ['--network-alias', 'web'],
      });
      await near.reaches('web-7');
      // Docker's own names travel with its cluster store, aliases included; ours are in /etc/hosts.
      await near.reaches('web');
    });

    it('goes out to the world through docker_gwbridge, and is reached from it by a published port', async () => {
      const scope = testScope();
      const [h1, h2] = lab.hosts;
      await lab.network(scope, 'world');
      const server = await lab.run(scope, h1, {
        name: 'server',
        network: 'world',
        flags: ['-p', '8080:80'],
        command: ['httpd', '-f', '-p', '80', '-h', '/etc'],
      });
      await server.reaches(lab.etcd.address);
      expect(await server.exec('ip', 'route')).toMatch(/default via 172\.\d+\.0\.1 dev eth1/);
      const page = ['busybox', 'wget', '-qO-', `http://${h1.address}:8080/passwd`];
      const read = async () => (await h2.must(page)).includes('root:');
      await eventually('the published port answers', read);
    });

    it('is back under its name and reachable after a restart', async () => {
      const scope = testScope();
      const { near, far } = await pair(scope, 'again');
      for (let n = 0; n < 3; n += 1) {
        await far.host.docker('restart', '-t', '5', far.name);
        await near.reaches(await far.address());
        await near.reaches(far.name);
        await far.reaches(near.name);
      }
    });

    it('leaves nothing when it fails to start, is killed, or ends by itself', async () => {
      const scope = testScope();
      const [h1] = lab.hosts;
      await lab.network(scope, 'fails');
      await scope.defer('container broken', () => h1.tryDocker('rm', '-f', 'broken'));
      const run = (...rest: string[]) => h1.tryDocker('run', '--net', 'fails', ...rest);
      expect((await run('--name', 'broken', 'bb', '/no/such/program')).code).not.toBe(0);
      expect((await run('--rm', 'bb', 'true')).code).toBe(0);
      const victim = await lab.run(scope, h1, { name: 'victim', network: 'fails' });
      await h1.docker('kill', victim.name);
      await eventually(
        'no endpoint is left',
        async () => (await h1.ctl<unknown[]>('endpoint', 'ls')).length === 0,
      );
      expect(await h1.taps()).toEqual([]);
    });
  },
);
