import { describe, expect, it } from 'vitest';
import type {
  FdbView,
  NetworkView,
  PortView,
  PurgeView,
  StatusView,
} from '../../../src/control/client.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const NET1 = `networks:
  - name: net1
    vni: 300
    peers: [10.200.0.2]
    fdb: [{mac: "02:00:00:00:00:99", port: c1}]
    ports: [{name: c1, netns: c1, addresses: [10.0.0.1/24]}]
`;

function host(...namespaces: string[]): FakeHost {
  const made = new FakeHost();
  for (const name of ['c1', ...namespaces]) made.namespaces.set(`/run/netns/${name}`, name);
  return made;
}

const running = (...namespaces: string[]) => FakeDaemon.running(NET1, host(...namespaces));

describe('exit codes', () => {
  it.each([
    [['bogus']],
    [[]],
    [['network']],
    [['network', 'add']],
    [['network', 'add', 'n', '--vni', '16777216']],
    [['network', 'add', 'n', '--vni', '0x10']],
    [['network', 'add', 'n', '--peer', 'host']],
    [['port', 'add', 'n', '--mac', 'zz']],
    [['port', 'add', 'n', '--address', '10.0.0.1']],
    [['port', 'add', 'n', '--ifname', 'much-too-long-for-linux']],
    [['fdb', 'add', 'n', '02:00:00:00:00:01', '--vtep', '10.0.0.2:0']],
    [['status', 'extra']],
    [['status', '--nope']],
  ])('%j is bad usage: 2', async (args) => {
    const fake = await FakeDaemon.create();
    const { code, out, err } = await fake.ctl(...args);
    expect([code, out]).toEqual([2, '']);
    expect(err).not.toBe('');
  });

  it('--help and --version: 0', async () => {
    const fake = await FakeDaemon.create();
    expect(await fake.ctl('--help')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Usage: vswitchctl'),
    });
    expect(await fake.ctl('--version')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it('no daemon: 1, in one sentence', async () => {
    const fake = await FakeDaemon.create();
    const { code, err } = await fake.ctl('status');
    expect(code).toBe(1);
    expect(err).toBe(
      `vswitchctl: no vswitchd answers on ${fake.socket}: it does not run, or uses another socket; start it, or name its socket with --socket\n`,
    );
  });

  it('--json works before and behind the command', async () => {
    const fake = await running();
    const { out } = await fake.ctl('status', '--json');
    expect(JSON.parse(out)).toMatchObject({ state: 'ok' });
    expect(await fake.json('status')).toMatchObject({ state: 'ok' });
  });
});

describe('networks', () => {
  it('are added with the first free VNI, shown, and removed', async () => {
    const fake = await running();
    expect((await fake.ctl('network', 'add', 'a', '--vni', '256')).out).toBe(
      'added network a, VNI 256\n',
    );
    expect(
      (
        await fake.ctl(
          'network',
          'add',
          'b',
          '--peer',
          '10.0.0.3',
          '--peer',
          '10.0.0.4:99',
          '--subnet',
          '10.9.0.0/16',
        )
      ).out,
    ).toBe('added network b, VNI 257, subnet 10.9.0.0/16\n');
    expect(await fake.json<NetworkView>('network', 'show', 'b')).toMatchObject({
      subnet: '10.9.0.0/16',
      peers: [
        { address: '10.0.0.3', port: 4789, vni: 257 },
        { address: '10.0.0.4', port: 99, vni: 257 },
      ],
    });
    const { out } = await fake.ctl('network', 'ls');
    expect(out.split('\n')[0]).toMatch(/^NETWORK\s+VNI\s+UDP\s+SUBNET/);
    expect(out).toMatch(/^b +257 +4789 +10\.9\.0\.0\/16 +1450 +0 +2 +0 +yes +store$/m);
    expect((await fake.ctl('network', 'rm', 'b')).out).toBe('removed network b\n');
    expect((await fake.ctl('network', 'show', 'b')).err).toContain('there is no network b');
  });

  it.each([
    [['network', 'add', 'net1'], 'there is one of that name'],
    [
      ['network', 'add', 'x', '--vni', '300'],
      'a VNI of its own on UDP port 4789 (network net1 has it)',
    ],
    [['network', 'add', 'x', '--vni', '0'], 'allow_vni_zero'],
    [['network', 'add', 'x', '--peer', 'fd00::2'], 'an IPv4 address like our own'],
    [['network', 'rm', 'net1'], 'edit the file, then `vswitchctl reload`'],
    [['network', 'rm', 'x'], 'there is no network x'],
    [['network', 'add', 'b/c'], 'name: "b/c" is refused'],
  ])('%j is refused', async (args, why) => {
    const fake = await running();
    const { code, err } = await fake.ctl(...args);
    expect([code, err]).toEqual([1, expect.stringContaining(why)]);
    expect(await fake.json<NetworkView[]>('network', 'ls')).toHaveLength(1);
  });
});

describe('ports', () => {
  it('are added, named after their namespace, and removed with their TAP', async () => {
    const fake = await running('c2');
    expect(
      (
        await fake.ctl(
          'port',
          'add',
          'net1',
          '--netns',
          'c2',
          '--address',
          '10.0.0.2/24',
          '--mac',
          '02:00:00:00:00:02',
        )
      ).out,
    ).toBe('added port c2 to network net1, address 10.0.0.2/24\n');
    expect(fake.host.datapath?.desired?.networks[0]?.ports[1]).toMatchObject({
      ...{ name: 'c2', netns: '/run/netns/c2', ifname: 'eth0' },
      ...{ mac: '02:00:00:00:00:02', addresses: ['10.0.0.2/24'] },
    });
    expect((await fake.ctl('port', 'rm', 'c2')).out).toBe(
      'removed port c2\nremoved TAP eth0 in c2 (port c2)\n',
    );
    expect(fake.host.taps.map((tap) => tap.port)).toEqual(['c1']);
  });

  it('take a process, as `docker inspect` gives it', async () => {
    const fake = await running();
    fake.host.namespaces.set('/proc/4711/ns/net', 'P');
    expect((await fake.ctl('port', 'add', 'net1', '--netns', '4711')).out).toContain(
      'added port net1-1',
    );
    expect((await fake.json<PortView[]>('port', 'ls'))[1]).toMatchObject({
      netns: '/proc/4711/ns/net',
      state: 'up',
    });
  });

  it.each([
    [
      ['port', 'add', 'net1', '--netns', 'nowhere'],
      'its network namespace /run/netns/nowhere does not exist',
    ],
    [['port', 'add', 'nonet'], 'there is no network nonet'],
    [['port', 'add', 'net1', '--name', 'c1'], 'there is one of that name'],
    [
      ['port', 'add', 'net1', '--name', 'x', '--netns', 'c1'],
      'an interface name of its own in the namespace (port c1 has it)',
    ],
    [['port', 'rm', 'c1'], 'edit the file'],
    [['port', 'rm', 'x'], 'there is no port x'],
  ])('%j is refused and changes nothing', async (args, why) => {
    const fake = await running();
    const { desired } = fake.host.datapath!;
    const { code, err } = await fake.ctl(...args);
    expect([code, err]).toEqual([1, expect.stringContaining(why)]);
    expect(fake.host.datapath?.desired).toEqual(desired);
  });
});

describe('peers', () => {
  it('are added and removed', async () => {
    const fake = await running();
    await fake.ctl('peer', 'add', 'net1', '10.200.0.3:99');
    expect(fake.host.datapath?.desired?.networks[0]?.tunnels).toHaveLength(2);
    expect((await fake.ctl('peer', 'rm', 'net1', '10.200.0.3')).err).toContain(
      'there is no peer 10.200.0.3',
    );
    await fake.ctl('peer', 'rm', 'net1', '10.200.0.3:99');
    expect(fake.host.datapath?.desired?.networks[0]?.tunnels).toHaveLength(1);
  });

  it.each([
    [['add', 'net1', '10.200.0.2'], 'the network has it already'],
    [['add', 'net1', '10.200.0.1'], 'our own VTEP address'],
    [['add', 'net1', '239.1.1.1'], 'unicast address'],
    [['rm', 'net1', '10.200.0.2'], 'edit the file'],
  ])('%j is refused', async (args, why) => {
    const fake = await running();
    expect(await fake.ctl('peer', ...args)).toMatchObject({
      code: 1,
      err: expect.stringContaining(why),
    });
  });
});

describe('the FDB', () => {
  const mac = '02:00:00:00:00:01';

  it('shows where each MAC is', async () => {
    const fake = await running();
    await fake.ctl(
      'fdb',
      'add',
      'net1',
      mac,
      '--vtep',
      '10.200.0.9',
      '--vni',
      '77',
      '--udp-port',
      '8472',
    );
    const { out } = await fake.ctl('fdb', 'show', 'net1');
    expect(out).toMatch(/^02:00:00:00:00:99 +net1 +300 +static +port c1 +-$/m);
    expect(out).toMatch(
      /^02:00:00:00:00:01 +net1 +300 +static +vtep 10\.200\.0\.9:8472 vni 77 +-$/m,
    );
  });

  it('[D73] replaces in one apply, in which the MAC is always known', async () => {
    const fake = await running();
    await fake.ctl('fdb', 'add', 'net1', mac, '--vtep', '10.200.0.8');
    const { applies } = fake.host;
    expect((await fake.ctl('fdb', 'replace', 'net1', mac, '--vtep', '10.200.0.9')).code).toBe(0);
    expect(fake.host.applies).toBe(applies + 1);
    expect(fake.host.datapath?.fdb('net1').filter((entry) => entry.mac === mac)).toMatchObject([
      { remote: '10.200.0.9' },
    ]);
  });

  it.each([
    [['add', 'net1', mac], 'exactly one of vtep, port and local'],
    [['add', 'net1', mac, '--port', 'nowhere'], 'a port of network net1'],
    [['add', 'net1', '01:00:5e:00:00:01', '--local'], 'a unicast MAC address'],
    [['add', 'net1', '02:00:00:00:00:99', '--local'], 'use `fdb replace`'],
    [['replace', 'net1', '02:00:00:00:00:99', '--local'], 'edit the file'],
    [['rm', 'net1', '02:00:00:00:00:99'], 'edit the file'],
    [['rm', 'net1', mac], 'use `fdb flush` for learned ones'],
    [['show', 'nonet'], 'there is no network nonet'],
  ])('%j is refused', async (args, why) => {
    const fake = await running();
    expect(await fake.ctl('fdb', ...args)).toMatchObject({
      code: 1,
      err: expect.stringContaining(why),
    });
  });

  it('[D64] keeps static entries of waiting ports, inactive', async () => {
    const fake = await FakeDaemon.running(NET1, new FakeHost());
    expect(await fake.json<FdbView[]>('fdb', 'show')).toMatchObject([
      { port: 'c1', active: false, origin: 'static' },
    ]);
    expect((await fake.ctl('fdb', 'show')).out).toContain('static (inactive)');
  });

  it('is flushed as a whole, by network, by port', async () => {
    const fake = await running();
    for (const args of [[], ['net1'], ['net1', '--port', 'c1'], ['--port', 'c1']])
      await fake.ctl('fdb', 'flush', ...args);
    expect(fake.host.datapath?.flushed).toEqual(['net1', 'net1', 'net1/c1', 'net1/c1']);
    expect((await fake.ctl('fdb', 'flush', '--port', 'x')).err).toContain('there is no port x');
  });

  it('of a waiting port is empty', async () => {
    const fake = await FakeDaemon.running(NET1, new FakeHost());
    expect((await fake.ctl('fdb', 'flush', '--port', 'c1')).out).toBe(
      'flushed 0 learned entries\n',
    );
    expect(fake.host.datapath?.flushed).toEqual([]);
  });
});

describe('what is seen', () => {
  it('status, doctor, stats, drops are readable', async () => {
    const fake = await running();
    expect((await fake.ctl('status')).out).toContain(
      'vtep:     10.200.0.1, UDP port 4789, underlay MTU 1500',
    );
    expect((await fake.ctl('doctor')).out).toContain('ready: everything that is needed is there.');
    expect((await fake.ctl('stats')).out).toContain('Balanced: in = out + consumed + drops');
    expect((await fake.ctl('drops')).out).toBe('Nothing was dropped.\n');
    expect((await fake.ctl('drops', '--all')).out).toContain('No network here has this VNI.');
  });

  it('stats names what is missing when the sums do not hold', async () => {
    const fake = await running();
    const datapath = fake.host.datapath!;
    const sound = datapath.counters();
    datapath.counters = () => {
      sound.networks[0]!.ports[0]!.rxFrames = 7;
      sound.networks[0]!.ports[0]!.drops = [{ reason: 'rx.src_mac_zero', frames: 2 }];
      return sound;
    };
    const { out } = await fake.ctl('stats');
    expect(out).toContain('NOT balanced: network net1 misses 5 in, 0 out.');
    expect(out).toMatch(/^ +c1 +rx\.src_mac_zero +2 +The source MAC is all zero\.$/m);
  });
});

describe('purge', () => {
  it('removes everything that was ever made here, and nothing of others', async () => {
    const fake = await running('c2');
    await fake.ctl('network', 'add', 'net2');
    await fake.ctl('port', 'add', 'net2', '--netns', 'c2');
    const mine = { ifname: 'old', port: 'forgotten', owner: fake.socket, namespace: undefined };
    const dead = { ...mine, port: 'dead', netns: '/proc/9/ns/net', namespace: 'D' };
    fake.host.taps.push(mine, { ...mine, ifname: 'other', owner: '/another.sock' }, dead);
    const purge = await fake.json<PurgeView>('purge');
    expect(purge.networks).toEqual(['net1', 'net2']);
    expect(purge.ports).toEqual(['c1', 'c2']);
    expect(purge.taps.map((tap) => tap.port)).toEqual(['c1', 'c2', 'forgotten']);
    expect(fake.host.taps.map((tap) => tap.port)).toEqual(['forgotten', 'dead']);
    expect(fake.host.taps[0]?.ifname).toBe('other');
    expect(await fake.json<StatusView>('status')).toMatchObject({ state: 'purged', networks: 0 });
  });

  it('lasts until the file is loaded again', async () => {
    const fake = await running();
    await fake.ctl('purge');
    expect(await fake.ctl('network', 'add', 'net1')).toMatchObject({ code: 0, err: '' });
    await fake.ctl('network', 'rm', 'net1');
    await fake.ctl('reload');
    expect(
      (await fake.json<PortView[]>('port', 'ls')).map((port) => [port.name, port.state]),
    ).toEqual([['c1', 'up']]);
  });
});
