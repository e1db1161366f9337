import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { DoctorView, NetworkView, PortView, StatusView } from '../../../src/control/client.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';

const SELF = '10.200.0.1';

describe('network add', () => {
  it('takes a subnet of each family, with gateway and range, or has one given', async () => {
    const fake = await FakeDaemon.running();
    const v4 = ['--subnet', '10.9.0.0/24', '--gateway', '10.9.0.1', '--range', '10.9.0.128/25'];
    const { out } = await fake.ctl('network', 'add', 'a', ...v4, '--subnet', 'fd09::/64');
    expect(out).toBe('added network a, VNI 256, subnet 10.9.0.0/24, subnet fd09::/64\n');
    expect(await fake.json<NetworkView>('network', 'show', 'a')).toMatchObject({
      ...{ source: 'store', owner: 'people', subnet: '10.9.0.0/24', members: [] },
      pools: [
        { subnet: '10.9.0.0/24', gateway: '10.9.0.1', range: '10.9.0.128/25' },
        { subnet: 'fd09::/64' },
      ],
    });
    const port = await fake.ctl('port', 'add', 'a', '--name', 'p');
    expect(port.out).toBe('added port p to network a, address 10.9.0.128/24, address fd09::1/64\n');
    expect((await fake.ctl('network', 'show', 'a')).out).toMatch(/^gateway: +10\.9\.0\.1$/m);
    const auto = await fake.ctl('network', 'add', 'b', '--subnet', 'auto');
    expect(auto.out).toMatch(/^added network b, VNI 257, subnet 10\.1\d+\.\d+\.0\/24\n$/);
  });

  it.each([
    [['--gateway', '10.9.0.1'], '10.9.0.1 is in no --subnet'],
    [['--subnet', '10.9.0.0/24', '--range', '10.8.0.0/25'], '10.8.0.0/25 is in no --subnet'],
    [['--subnet', 'auto', '--subnet', '10.9.0.0/24'], '--subnet auto stands alone'],
    [['--subnet', 'x'], 'Allowed: an address with prefix length'],
  ])('%j is bad usage', async (args, why) => {
    const fake = await FakeDaemon.create();
    const { code, err } = await fake.ctl('network', 'add', 'a', ...args);
    expect([code, err]).toEqual([2, expect.stringContaining(why)]);
  });

  it.each([
    [['--subnet', '10.9.0.0/24', '--subnet', '10.8.0.0/24'], 'at most one for each family'],
    [['--subnet', '10.9.0.0/24', '--range', '10.9.0.0/16'], 'a range within the subnet'],
  ])('%j is refused', async (args, why) => {
    const fake = await FakeDaemon.running();
    const { code, err } = await fake.ctl('network', 'add', 'a', ...args);
    expect([code, err]).toEqual([1, expect.stringContaining(why)]);
  });
});

it('endpoint ls, host ls and neighbor show tell what all hosts know', async () => {
  const fake = await FakeDaemon.running();
  await fake.ctl('network', 'add', 'a', '--subnet', '10.9.0.0/24');
  await fake.ctl('port', 'add', 'a', '--name', 'p');
  const mac = '02:42:0a:09:00:01';
  expect((await fake.ctl('endpoint', 'ls', 'a')).out).toMatch(
    new RegExp(`^NAME .*\\np +a +${mac} +10\\.9\\.0\\.1/24 +${SELF} +live\\n$`),
  );
  expect((await fake.ctl('neighbor', 'show')).out).toMatch(
    new RegExp(`^IP .*\\n10\\.9\\.0\\.1 +a +${mac} +this host +local\\n$`),
  );
  await expect
    .poll(async () => (await fake.ctl('host', 'ls')).out)
    .toMatch(new RegExp(`^VTEP .*\\n${SELF} +4789 +\\S+ +live +1 +this host\\n$`));
  expect((await fake.ctl('host', 'rm', SELF)).err).toContain('it is alive');
  expect((await fake.ctl('host', 'rm', '10.200.0.9')).err).toContain('there is no host 10.200.0.9');
  for (const args of [
    ['endpoint', 'ls', 'x'],
    ['neighbor', 'show', 'x'],
  ]) {
    expect((await fake.ctl(...args)).err).toContain('there is no network x');
  }
});

describe('a store that does not answer', () => {
  const away =
    'store: etcd://127.0.0.1:9/x\nnetworks: [{name: net1, vni: 300, ports: [{name: c1}]}]\n';

  it('does not keep the daemon from starting, and status and doctor say so', async () => {
    const fake = await FakeDaemon.running(away);
    expect(await fake.json<StatusView>('status')).toMatchObject({
      state: 'degraded',
      store: { name: 'etcd://127.0.0.1:9/x', state: 'connecting', garbage: 0, conflicts: [] },
      warnings: [expect.stringContaining('the store etcd://127.0.0.1:9/x was not reached yet')],
    });
    const doctor = await fake.json<DoctorView>('doctor');
    expect(doctor).toMatchObject({ ready: true });
    expect(doctor.checks.at(-1)).toMatchObject({ name: 'store etcd://127.0.0.1:9/x', ok: false });
    expect(fake.host.taps).toHaveLength(1);
    const { code, err } = await fake.ctl('network', 'add', 'a');
    expect([code, err]).toEqual([1, expect.stringContaining('cannot reach the store')]);
    expect((await fake.ctl('port', 'add', 'net1', '--name', 'p')).code).toBe(0);
  }, 20_000);

  it('keeps the networks of an older state file waiting, in effect', async () => {
    const fake = await FakeDaemon.create();
    await fake.configure('store: etcd://127.0.0.1:9/x\n');
    const ports = [{ network: 'old', port: { name: 'p' } }];
    const old = { version: 1, networks: [{ name: 'old', vni: 400 }], ports, peers: [], fdb: [] };
    await writeFile(fake.statePath, JSON.stringify(old));
    await fake.start();
    expect(await fake.json<PortView[]>('port', 'ls')).toMatchObject([{ name: 'p', state: 'up' }]);
    expect(JSON.parse(await readFile(fake.statePath, 'utf8')).version).toBeLessThanOrEqual(2);
    await fake.stop();
    await fake.configure('');
    await fake.start();
    expect(await fake.json<NetworkView[]>('network', 'ls')).toMatchObject([
      { name: 'old', vni: 400, source: 'store' },
    ]);
    expect(JSON.parse(await readFile(fake.statePath, 'utf8'))).toMatchObject({
      ...{ version: 2, unshared: [], remembered: [{ network: { name: 'old' } }] },
    });
  }, 20_000);
});
