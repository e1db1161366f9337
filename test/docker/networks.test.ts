/** `docker network`: what an operator types, on one host or on both, and what every host then has. */

import { describe, expect, it } from 'vitest';
import { type DockerScope, sharedLab, TestLab } from '../support/dockerLab.js';
import { eventually } from '../support/eventually.js';
import { fileScope, testScope } from '../support/testScope.js';

describe.each<DockerScope>(['global', 'local'])('a network of %s scope', (dockerScope) => {
  let lab: TestLab;
  sharedLab({ scope: dockerScope }, (made) => {
    lab = made;
  });

  /** The network as vswitchd on every host has it. */
  const overlay = (name: string) =>
    Promise.all(lab.hosts.map((host) => host.ctl<NetworkShown>('network', 'show', name)));

  it('is seen on all hosts, by docker and by vswitchctl, with one VNI', async () => {
    const scope = testScope();
    await lab.network(scope, 'net1', ['--subnet', '10.1.0.0/24']);
    for (const host of lab.hosts) {
      const listed = await host.docker(
        'network',
        'ls',
        '--format',
        '{{.Name}} {{.Driver}} {{.Scope}}',
      );
      expect(listed.split('\n')).toContain(`net1 vswitch ${dockerScope}`);
      expect(await host.inspect('net1', '.IPAM.Config')).toMatchObject([{ Subnet: '10.1.0.0/24' }]);
    }
    const vnis = (await overlay('net1')).map(({ vni }) => vni);
    expect(vnis[0]).toBeGreaterThanOrEqual(256);
    expect(new Set(vnis).size).toBe(1);
  });

  it('is removed everywhere, and its VNI is not given again at once', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'gone');
    const [before] = await overlay('gone');
    await h2.docker('network', 'rm', 'gone');
    if (dockerScope === 'local') await h1.docker('network', 'rm', 'gone');
    for (const host of lab.hosts) {
      await eventually(
        `gone is gone from ${host.name}`,
        async () => !(await host.overlayNetworks()).includes('gone'),
      );
    }
    await lab.network(scope, 'after');
    const [after] = await overlay('after');
    expect(after?.vni).not.toBe(before?.vni);
  });

  it('cannot be removed while it has containers, and nothing changes', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'busy');
    const a = await lab.run(scope, h1, { name: 'busy1', network: 'busy' });
    const b = await lab.run(scope, h2, { name: 'busy2', network: 'busy' });
    const { code, output } = await h2.tryDocker('network', 'rm', 'busy');
    expect(code).not.toBe(0);
    expect(output).toMatch(/has active endpoints/);
    await a.reaches(await b.address());
  });

  it('has an automatic subnet that is its own', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'auto1');
    await lab.network(scope, 'auto2');
    const subnets = await Promise.all(
      ['auto1', 'auto2'].map((name) => h1.inspect<[{ Subnet: string }]>(name, '.IPAM.Config')),
    );
    expect(subnets[0]?.[0].Subnet).not.toBe(subnets[1]?.[0].Subnet);
    const a = await lab.run(scope, h1, { name: 'auto1a', network: 'auto1' });
    const b = await lab.run(scope, h2, { name: 'auto1b', network: 'auto1' });
    await a.reaches(await b.address());
  });

  it("takes VNI and MTU as options, also under the names of Docker's own overlay", async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'opts', ['--opt', 'vni=70001', '--opt', 'mtu=1300']);
    await lab.network(scope, 'docks', [
      '--opt',
      'com.docker.network.driver.overlay.vxlanid_list=70002',
    ]);
    expect((await overlay('opts')).map(({ vni, mtu }) => [vni, mtu])).toEqual([
      [70001, 1300],
      [70001, 1300],
    ]);
    expect((await overlay('docks')).map(({ vni }) => vni)).toEqual([70002, 70002]);
    const a = await lab.run(scope, h1, { name: 'opts1', network: 'opts' });
    const b = await lab.run(scope, h2, { name: 'opts2', network: 'opts' });
    for (const container of [a, b]) {
      expect(await container.exec('cat', '/sys/class/net/eth0/mtu')).toBe('1300');
    }
    await a.reaches(await b.address());
  });

  it('has an MTU that fits the underlay', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'fits');
    const a = await lab.run(scope, h1, { name: 'fits1', network: 'fits' });
    const b = await lab.run(scope, h2, { name: 'fits2', network: 'fits' });
    expect(await a.exec('cat', '/sys/class/net/eth0/mtu')).toBe('1450');
    await a.reaches(await b.address());
    await a.machineExec(['ping', '-c', '3', '-M', 'do', '-s', '1422', await b.address()]);
  });

  it.each([
    ['encrypted', ['--opt', 'encrypted'], /encrypt/],
    ['an unknown option', ['--opt', 'vnii=300'], /vnii.*\bvni\b/s],
    ['a VNI that is none', ['--opt', 'vni=16777216'], /16777216/],
    ['several subnets', ['--subnet', '10.5.0.0/24', '--subnet', '10.6.0.0/24'], /subnet/],
  ])('refuses %s with the reason, and nothing is left', async (_, flags, reason) => {
    const [h1] = lab.hosts;
    const { code, output } = await h1.tryDocker(
      'network',
      'create',
      ...lab.driver,
      ...flags,
      'refused',
    );
    expect(code).not.toBe(0);
    expect(output).toMatch(reason);
    expect(await h1.docker('network', 'ls', '-q', '-f', 'name=refused')).toBe('');
    expect(await h1.overlayNetworks()).not.toContain('refused');
  });

  it('refuses a VNI that another network has', async () => {
    const scope = testScope();
    const [h1] = lab.hosts;
    await lab.network(scope, 'first', ['--opt', 'vni=70003']);
    const { code, output } = await h1.tryDocker(
      ...['network', 'create', ...lab.driver, '--opt', 'vni=70003', 'second'],
    );
    await scope.defer('network second', () => lab.removeNetwork('second'));
    expect(code).not.toBe(0);
    expect(output).toMatch(/70003.*first/s);
  });

  it('--internal has no way out, and reaches its own on all hosts', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'inside', ['--internal']);
    const a = await lab.run(scope, h1, { name: 'inside1', network: 'inside' });
    const b = await lab.run(scope, h2, { name: 'inside2', network: 'inside' });
    await a.reaches(await b.address());
    for (const container of [a, b]) {
      expect(await container.exec('ls', '/sys/class/net')).not.toContain('eth1');
      expect(await container.exec('ip', 'route')).not.toContain('default');
      expect(await container.cannotReach(lab.etcd.address)).toBe(true);
    }
  });

  it('carries IPv6 beside IPv4', async () => {
    const scope = testScope();
    const [h1, h2] = lab.hosts;
    await lab.network(scope, 'six', [
      '--ipv6',
      '--subnet',
      '10.66.0.0/24',
      '--subnet',
      'fd00:66::/64',
    ]);
    const a = await lab.run(scope, h1, { name: 'six1', network: 'six' });
    const b = await lab.run(scope, h2, { name: 'six2', network: 'six' });
    expect(await b.address6()).toMatch(/^fd00:66::/);
    await a.reaches(await b.address6());
    await b.reaches(await a.address6());
    await a.reaches(await b.address());
  });
});

// A cluster store of Docker's takes two networks of one name that are made at the same moment; its users remove one.
describe('a network of local scope made by two hosts', () => {
  const labScope = fileScope();

  it('at the same moment is one', async () => {
    const lab = await TestLab.up(labScope, { scope: 'local' });
    const scope = testScope();
    await scope.defer('network race', () => lab.removeNetwork('race'));
    await Promise.all(
      lab.hosts.map((host) => host.docker('network', 'create', ...lab.driver, 'race')),
    );
    const [h1, h2] = lab.hosts;
    const a = await lab.run(scope, h1, { name: 'race1', network: 'race' });
    const b = await lab.run(scope, h2, { name: 'race2', network: 'race' });
    await a.reaches(await b.address());
    const vnis = lab.hosts.map(async (host) => {
      return (await host.ctl<NetworkShown>('network', 'show', 'race')).vni;
    });
    expect(new Set(await Promise.all(vnis)).size).toBe(1);
    await lab.agreed();
  });
});

describe('a network of hosts that share no store', () => {
  const labScope = fileScope();

  it('is one by VNI, peers and address ranges that do not overlap', async () => {
    const lab = await TestLab.up(labScope, { scope: 'local', isAlone: true });
    const scope = testScope();
    const addresses = lab.hosts.map(({ address }) => address).join(',');
    await scope.defer('network alone', () => lab.removeNetwork('alone'));
    for (const [n, host] of lab.hosts.entries()) {
      const pool = ['--subnet', '10.66.0.0/24', '--ip-range', `10.66.0.${64 + 64 * n}/26`];
      const options = ['-o', 'vni=7777', '-o', `peers=${addresses}`];
      await host.docker('network', 'create', ...lab.driver, ...pool, ...options, 'alone');
    }
    const [h1, h2] = lab.hosts;
    const a = await lab.run(scope, h1, { name: 'alone1', network: 'alone' });
    const b = await lab.run(scope, h2, { name: 'alone2', network: 'alone' });
    expect(await a.address()).toMatch(/^10\.66\.0\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])$/);
    expect(await b.address()).toMatch(/^10\.66\.0\.(12[89]|1[3-8]\d|19[01])$/);
    await a.reaches(await b.address());
    await b.reaches(await a.address());
  });
});

interface NetworkShown {
  readonly vni: number;
  readonly mtu: number;
}
