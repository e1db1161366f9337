import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type {
  CountersView,
  NetworkView,
  PortView,
  StatusView,
} from '../../../src/control/client.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const NET1 =
  'networks: [{name: net1, vni: 300, peers: [10.200.0.2], ports: [{name: c1, netns: c1}]}]\n';

/** What stays of a daemon that has stopped: who it is, and what was shared. */
const OWN_FILES = ['control.machine.json', 'control.store.json', 'vswitchd.yaml'];

function hostWith(...namespaces: string[]): FakeHost {
  const host = new FakeHost();
  for (const name of namespaces) host.namespaces.set(`/run/netns/${name}`, name);
  return host;
}

/** What a daemon leaves that was killed: a socket file on which nobody listens. */
async function leaveDeadSocket(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(`${path}.bound`, listening));
  // Closing removes the name that was bound.
  await rename(`${path}.bound`, path);
  await new Promise((closed) => server.close(closed));
}

describe('a start', () => {
  it('ends in ready, with socket, lock and ports', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    expect(fake.messages().at(-1)).toBe('ready');
    expect((await stat(fake.socket)).mode & 0o777).toBe(0o600);
    expect(fake.host.locks).toEqual(new Set([`${fake.socket}.lock`]));
    expect(fake.host.taps).toMatchObject([{ ifname: 'eth0', port: 'c1', owner: fake.socket }]);
  });

  it('makes the directory of its socket, for itself alone', async () => {
    const fake = await FakeDaemon.create();
    const socket = join(fake.folder, 'deep', 'er', 'control.sock');
    await writeFile(fake.configFile, `vtep: {address: 10.200.0.1}\ncontrol: {socket: ${socket}}\n`);
    const daemon = await fake.start({ socket: undefined });
    expect(daemon.socket).toBe(socket);
    expect((await stat(join(fake.folder, 'deep', 'er'))).mode & 0o777).toBe(0o700);
  });

  it('needs no file, only an address', async () => {
    const fake = await FakeDaemon.create();
    await fake.start({ source: { vtep: '10.200.0.1' } });
    expect(await fake.json<StatusView>('status')).toMatchObject({ state: 'ok', networks: 0 });
    const { code, err } = await fake.ctl('reload');
    expect([code, err]).toEqual([1, expect.stringContaining('without a configuration file')]);
  });

  it('[N234] of a second daemon on the same socket is refused in one sentence', async () => {
    const first = await FakeDaemon.running(NET1, hostWith('c1'));
    const daemon = first.daemon;
    await expect(first.start()).rejects.toMatchObject({
      message: expect.stringMatching(
        /^cannot start on [^\n]*: another vswitchd runs with this socket; [^\n]*$/,
      ),
    });
    expect(daemon.operations.status().state).toBe('ok');
    expect((await first.ctl('status')).code).toBe(0);
  });

  it('goes on where nothing can be handed over, and says so', async () => {
    const fake = await FakeDaemon.create(hostWith('c1'));
    fake.host.broken.set(`${fake.socket}.handover`, 'IO');
    await fake.configure(NET1);
    await fake.start();
    expect(fake.messages()).toContain('no rootless ports');
    expect(fake.host.taps).toMatchObject([{ port: 'c1' }]);
  });

  it('replaces the socket that a dead daemon left', async () => {
    const fake = await FakeDaemon.create();
    await fake.configure(NET1);
    await leaveDeadSocket(fake.socket);
    await fake.start();
    expect((await fake.ctl('status')).code).toBe(0);
    await fake.stop();
    expect(await readdir(fake.folder)).toEqual(OWN_FILES);
  });

  it('on a path of 107 bytes works: what is bound in between is no longer', async () => {
    const fake = await FakeDaemon.create();
    await fake.configure('');
    const socket = join(fake.folder, 'x'.repeat(106 - fake.folder.length));
    await fake.start({ socket });
    expect(await readdir(fake.folder)).toContain('x'.repeat(106 - fake.folder.length));
  });

  it('leaves a file alone that is no socket, and makes nothing', async () => {
    const host = hostWith('c1');
    const fake = await FakeDaemon.create(host);
    await fake.configure(NET1);
    await writeFile(fake.socket, 'precious');
    await expect(fake.start()).rejects.toMatchObject({
      code: 'SOCKET_UNUSABLE',
      message: expect.stringContaining('no socket'),
    });
    expect(await readFile(fake.socket, 'utf8')).toBe('precious');
    expect(host.applies).toBe(0);
  });

  it('refuses a socket that another program answers on', async () => {
    const fake = await FakeDaemon.create(hostWith('c1'));
    await fake.configure(NET1);
    const other = createServer();
    await new Promise<void>((listening) => other.listen(fake.socket, listening));
    onTestFinished(() => void other.close());
    await expect(fake.start()).rejects.toMatchObject({
      code: 'SOCKET_UNUSABLE',
      message: expect.stringContaining('another program answers'),
    });
    expect((await stat(fake.socket)).isSocket()).toBe(true);
  });

  it('[N233] on a UDP port that a kernel vxlan device holds names the device and the fix', async () => {
    const host = hostWith('c1');
    host.heldUdpPorts.add(4789);
    host.probe.vxlanDevices.push({ ifname: 'vx42', vni: 42, udpPort: 4789, up: true });
    const fake = await FakeDaemon.create(host);
    await fake.configure(NET1);
    await expect(fake.start()).rejects.toThrow(
      /kernel vxlan device vx42 \(VNI 42\) holds UDP port 4789 .*ip link delete vx42/,
    );
  });

  it('that fails leaves nothing behind', async () => {
    const host = hostWith('c1');
    host.heldUdpPorts.add(4789);
    const fake = await FakeDaemon.create(host);
    await fake.configure(NET1);
    await expect(fake.start()).rejects.toMatchObject({ code: 'PORT_IN_USE' });
    expect(host.locks.size).toBe(0);
    expect(await readdir(fake.folder)).toEqual(OWN_FILES);
    host.heldUdpPorts.clear();
    await fake.start();
  });

  it('with a broken state file goes on, and says so', async () => {
    const fake = await FakeDaemon.create(hostWith('c1'));
    await fake.configure(NET1);
    await writeFile(fake.statePath, '{');
    await fake.start();
    expect(fake.messages()).toContain('state file');
    expect((await fake.json<StatusView>('status')).warnings[0]).toContain(fake.statePath);
  });

  it('takes the MTU from the interface of the VTEP', async () => {
    const host = hostWith('c1');
    host.probe.interfaces[0]!.mtu = 9000;
    const fake = await FakeDaemon.running(NET1, host);
    expect((await fake.json<NetworkView>('network', 'show', 'net1')).mtu).toBe(8950);
  });
});

describe('[G128] the MTU of the underlay', () => {
  /** Changes it behind the daemon's back and lets time pass. */
  async function changed(fake: FakeDaemon, link: { mtu?: number; addresses?: string[] }) {
    Object.assign(fake.host.probe.interfaces[0]!, link);
    await vi.advanceTimersByTimeAsync(5000);
  }

  async function running(text: string): Promise<FakeDaemon> {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    return await FakeDaemon.running(text, hostWith('c1'));
  }

  const portMtu = (fake: FakeDaemon) => fake.host.datapath?.desired?.networks[0]?.ports[0]?.mtu;

  it('is followed by the ports that have theirs from it', async () => {
    const fake = await running(NET1);
    expect(portMtu(fake)).toBe(1450);
    await changed(fake, { mtu: 1400 });
    await vi.waitFor(() => expect(portMtu(fake)).toBe(1350));
    expect(fake.host.datapath?.desired?.underlayMtu).toBe(1400);
    expect((await fake.json<StatusView>('status')).underlay_mtu).toBe(1400);
    expect(fake.messages()).toContain('the underlay has another MTU');
  });

  it('is taken for the same while the address is gone', async () => {
    const fake = await running(NET1);
    const { applies } = fake.host;
    await changed(fake, { mtu: 9000, addresses: [] });
    expect([portMtu(fake), fake.host.applies]).toEqual([1450, applies]);
  });

  it('too small for a port that has its own is a warning', async () => {
    const fake = await running(NET1.replace('netns: c1', 'netns: c1, mtu: 1450'));
    const warnings = async () => (await fake.json<StatusView>('status')).warnings;
    expect(await warnings()).toEqual([]);
    await changed(fake, { mtu: 1400 });
    await vi.waitFor(async () =>
      expect(await warnings()).toEqual([
        'port c1: its MTU 1450 is more than the 1350 that the underlay carries',
      ]),
    );
    expect(portMtu(fake)).toBe(1450);
  });
});

it('[G114] leave to fragment is a warning', async () => {
  const fake = await FakeDaemon.create(hostWith('c1'));
  await writeFile(
    fake.configFile,
    `vtep: {address: 10.200.0.1, allow_outer_fragmentation: true}\n${NET1}`,
  );
  await fake.start();
  const { warnings, state } = await fake.json<StatusView>('status');
  expect(warnings).toEqual([expect.stringContaining('allow_outer_fragmentation is on')]);
  expect(state).toBe('ok');
});

it('[G122] the path MTU of a peer and what was noted are shown', async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  const datapath = fake.host.datapath!;
  const counters = datapath.counters();
  const note = { note: 'vtep.pmtu_change', times: 2, sentence: 'The path is another.' };
  Object.assign(counters.networks[0]!.ports[1]!, { pathMtu: 1300, notes: [note] });
  datapath.counters = () => counters;
  const { peers } = await fake.json<NetworkView>('network', 'show', 'net1');
  expect(peers).toEqual([
    { address: '10.200.0.2', port: 4789, vni: 300, origin: 'static', path_mtu: 1300 },
  ]);
  expect((await fake.ctl('network', 'show', 'net1')).out).toMatch(
    /10\.200\.0\.2 +4789 +300 +static +1300/,
  );
  const { out } = await fake.ctl('stats');
  expect(out).toMatch(/10\.200\.0\.2:4789 +vtep\.pmtu_change +2 +The path is another\./);
  expect(out).toMatch(/10\.200\.0\.2:4789 +1300 +0/);
});

describe('a stop', () => {
  it('leaves alone what has taken the place of its socket', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await rm(fake.socket);
    await writeFile(fake.socket, 'precious');
    await fake.stop();
    expect(await readFile(fake.socket, 'utf8')).toBe('precious');
  });

  it('leaves TAPs, and nothing else', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await fake.daemon.stop();
    await fake.stop();
    expect(await readdir(fake.folder)).toEqual(OWN_FILES);
    expect(fake.host.locks.size).toBe(0);
    expect(fake.host.taps).toHaveLength(1);
  });

  it('and a start bring back what was added', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1', 'c2'));
    await fake.ctl('network', 'add', 'net2', '--peer', '10.200.0.3');
    await fake.ctl('port', 'add', 'net2', '--netns', 'c2');
    await fake.ctl('port', 'add', 'net1', '--name', 'x');
    await fake.ctl('fdb', 'add', 'net1', '02:00:00:00:00:01', '--vtep', '10.200.0.9');
    const before = await fake.json<NetworkView[]>('network', 'ls');
    await fake.stop();
    await fake.start();
    expect(await fake.json<NetworkView[]>('network', 'ls')).toEqual(before);
    expect(before.map((network) => [network.name, network.source])).toEqual([
      ['net1', 'file'],
      ['net2', 'store'],
    ]);
    expect(fake.host.datapath?.fdb()).toMatchObject([{ mac: '02:00:00:00:00:01' }]);
  });
});

describe('a port that was added by process ID', () => {
  const added = async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    fake.host.namespaces.set('/proc/77/ns/net', 'P');
    expect((await fake.ctl('port', 'add', 'net1', '--netns', '77', '--name', 'x')).code).toBe(0);
    await fake.stop();
    return fake;
  };
  const state = async (fake: FakeDaemon) =>
    (await fake.json<PortView[]>('port', 'ls')).find((port) => port.name === 'x');
  const ended = { state: 'waiting', reason: 'the process has ended' };

  it('is attached after a restart when it is the same process', async () => {
    const fake = await added();
    await fake.start();
    expect(await state(fake)).toMatchObject({ state: 'up' });
  });

  it('waits after a restart when the PID is of another process, also of the same namespace', async () => {
    const fake = await added();
    fake.host.processStarts.set(77, '2');
    await fake.start();
    expect(await state(fake)).toMatchObject(ended);
  });

  it('waits after a boot, and when its namespace is another', async () => {
    const fake = await added();
    fake.host.boot = 'boot 2';
    await fake.start();
    expect(await state(fake)).toMatchObject(ended);
    await fake.stop();
    fake.host.boot = 'boot 1';
    fake.host.namespaces.set('/proc/77/ns/net', 'Q');
    await fake.start();
    expect(await state(fake)).toMatchObject(ended);
  });

  it('waits when the state file does not say which process was meant', async () => {
    const fake = await added();
    const saved = JSON.parse(await readFile(fake.statePath, 'utf8'));
    delete saved.ports[0].process;
    await writeFile(fake.statePath, JSON.stringify(saved));
    await fake.start();
    expect(await state(fake)).toMatchObject(ended);
  });
});

describe('a reload', () => {
  it('[N241] of an invalid file leaves the old configuration running and logs one record', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    const { desired } = fake.host.datapath!;
    await fake.configure('networks: [{name: net1, vni: 16777216}]');
    const lines = fake.log.length;
    await fake.daemon.reload();
    expect(fake.messages().slice(lines)).toEqual(['reload refused, the old configuration runs on']);
    const { code, err } = await fake.ctl('reload');
    expect(code).toBe(1);
    expect(err).toContain('networks[0].vni (line 2): 16777216 is refused; allowed:');
    expect(fake.host.datapath?.desired).toEqual(desired);
    expect(await fake.json<StatusView>('status')).toMatchObject({ state: 'ok', networks: 1 });
  });

  it('with a port that cannot be attached changes nothing', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await fake.configure(
      'networks: [{name: net1, vni: 300, ports: [{name: c1, netns: c1}, {name: c9, netns: c9}]}]',
    );
    expect(await fake.ctl('reload')).toMatchObject({
      code: 1,
      err: expect.stringContaining('port c9'),
    });
    expect((await fake.json<PortView[]>('port', 'ls')).map((port) => port.name)).toEqual(['c1']);
  });

  it('[N242] that changes one port touches no other', async () => {
    const ports = (mtu: number) =>
      `networks: [{name: net1, vni: 300, ports: [{name: c1, netns: c1, mtu: ${mtu}}, {name: c2, netns: c2}]}]`;
    const fake = await FakeDaemon.running(ports(1400), hostWith('c1', 'c2'));
    await fake.configure(ports(1300));
    expect(await fake.json('reload')).toMatchObject({
      changed: ['port c1'],
      added: [],
      removed: [],
      kept: ['network net1', 'port c2'],
    });
  });

  it('removes the TAP of a port that vanished from the file', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await fake.configure('networks: [{name: net1, vni: 300}]');
    expect(await fake.json('reload')).toMatchObject({
      removed_taps: [{ port: 'c1', ifname: 'eth0', netns: '/run/netns/c1' }],
    });
    expect(fake.host.taps).toEqual([]);
  });

  it('cannot change the VTEP, and says that a restart can', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await writeFile(fake.configFile, 'vtep: {address: 10.200.0.99}');
    expect(await fake.ctl('reload')).toMatchObject({
      code: 1,
      err: expect.stringContaining('restart vswitchd'),
    });
  });

  it('cannot change the UDP port that other hosts know from the store', async () => {
    const fake = await FakeDaemon.create();
    const fileOf = (port: number) =>
      `vtep: {address: 10.200.0.1, port: ${port}}\nstore: etcd://127.0.0.1:1/x\n`;
    await writeFile(fake.configFile, fileOf(4789));
    await fake.start();
    await writeFile(fake.configFile, fileOf(4790));
    expect(await fake.ctl('reload')).toMatchObject({
      code: 1,
      err: expect.stringContaining('cannot change vtep.port while running'),
    });
    expect(fake.daemon.operations.status().vtep.port).toBe(4789);
  });

  it('leaves out additions that the new file contradicts, and tells', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await fake.ctl('network', 'add', 'net2', '--vni', '400');
    await fake.configure('networks: [{name: other, vni: 400}]');
    expect((await fake.ctl('reload')).code).toBe(0);
    const status = await fake.json<StatusView>('status');
    expect(status).toMatchObject({ state: 'degraded', networks: 1 });
    expect(status.warnings.join()).toContain('network net2 is left out');
    await fake.configure(NET1);
    await fake.ctl('reload');
    expect(await fake.json<StatusView>('status')).toMatchObject({ state: 'ok', networks: 2 });
  });

  it('says what it cannot change', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    await fake.configure(`${NET1}datapath: {workers: 3}\ncontrol: {socket: /elsewhere.sock}\n`);
    const { out } = await fake.ctl('reload');
    expect(out).toContain('datapath is not changed by a reload');
    expect(out).toContain('control.socket is not changed by a reload');
  });
});

describe('a change that cannot be saved', () => {
  it('is taken back', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    const { desired } = fake.host.datapath!;
    await mkdir(`${fake.statePath}.new`);
    expect(await fake.ctl('port', 'add', 'net1', '--name', 'x')).toMatchObject({
      code: 1,
      err: expect.stringContaining('taken back'),
    });
    expect(fake.host.datapath?.desired).toEqual(desired);
    expect(fake.host.taps.map((tap) => tap.port)).toEqual(['c1']);
  });
});

describe('events of the datapath', () => {
  it('[O251] portGone releases the port at once and opens it again', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    const { datapath, taps } = fake.host;
    taps.splice(0);
    datapath!.raise({ type: 'portGone', at: 1, port: 'c1', detail: 'EBADFD' });
    await vi.waitFor(() => expect(taps).toHaveLength(1));
    expect(fake.messages()).toContain('port lost its device');
    await vi.waitFor(async () => {
      expect((await fake.json<PortView[]>('port', 'ls'))[0]).toMatchObject({ state: 'up' });
    });
  });

  it('that repeat are logged at a bounded rate', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    for (let n = 0; n < 1000; n++) {
      fake.host.datapath!.raise({ type: 'vniUnknown', at: n, vni: 9, remote: '10.0.0.9' });
    }
    await vi.waitFor(() => expect(fake.host.datapath!.drain(1)).toEqual([]));
    const lines = fake.messages().filter((line) => line.includes('VNI'));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThanOrEqual(5);
  });

  it('fatal ends it as a bug of ours', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    fake.host.datapath!.raise({ type: 'fatal', at: 1, detail: 'worker 0 panicked' });
    await vi.waitFor(() => expect(fake.messages()).toContain('fatal'));
  });
});

describe('a namespace that comes and goes', () => {
  it('[O251] is followed within seconds', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith());
    const state = async () => (await fake.json<PortView[]>('port', 'ls'))[0];
    expect(await state()).toMatchObject({
      state: 'waiting',
      reason: expect.stringContaining('/run/netns/c1'),
    });
    fake.host.namespaces.set('/run/netns/c1', 'x');
    await vi.waitFor(async () => expect(await state()).toMatchObject({ state: 'up' }), 5000);
    fake.host.namespaces.delete('/run/netns/c1');
    await vi.waitFor(async () => expect(await state()).toMatchObject({ state: 'waiting' }), 5000);
    expect(await fake.json<StatusView>('status')).toMatchObject({ state: 'degraded' });
  });
});

describe('[O253] counters', () => {
  it('carry their time, the time since which they count, and their balance', async () => {
    const fake = await FakeDaemon.running(NET1, hostWith('c1'));
    const before = Date.now();
    const counters = await fake.json<CountersView>('stats');
    expect(counters).toMatchObject({ started_at: '1970-01-01T00:00:00.000Z', balanced: true });
    expect(Date.parse(counters.at)).toBeGreaterThanOrEqual(before);
  });
});

it('the state file is for its owner alone', async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  await fake.ctl('network', 'add', 'net2');
  expect((await stat(fake.statePath)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await readFile(fake.statePath, 'utf8'))).toMatchObject({ version: 2 });
});

it('[N241] a change is one log record, and a reload refused through the API is one too', async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  const lines = fake.log.length;
  await fake.ctl('network', 'add', 'net2');
  expect(fake.log.slice(lines)).toMatchObject([{ msg: 'changed', change: 'network net2 added' }]);
  await fake.configure('nonsense: 1');
  await fake.ctl('reload');
  expect(fake.messages().slice(lines + 1)).toEqual([
    'reload refused, the old configuration runs on',
  ]);
});

it('of a network that moved into the file the port is no addition any more, and the store has it no longer than wanted', async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  await fake.ctl('network', 'add', 'net2', '--vni', '400');
  await fake.ctl('port', 'add', 'net2', '--name', 'x');
  await fake.configure('networks: [{name: net2, vni: 400, ports: [{name: x}]}]');
  expect((await fake.ctl('reload')).code).toBe(0);
  const { warnings } = await fake.json<StatusView>('status');
  expect(warnings).toEqual([expect.stringContaining('network net2 is left out')]);
  expect((await fake.ctl('network', 'rm', 'net2')).out).toBe('removed network net2\n');
  expect(await fake.json<StatusView>('status')).toMatchObject({ state: 'ok', warnings: [] });
  expect(await fake.json<PortView[]>('port', 'ls')).toMatchObject([{ name: 'x', source: 'file' }]);
  const saved = JSON.parse(await readFile(fake.statePath, 'utf8'));
  expect([saved.remembered, saved.ports]).toEqual([[], []]);
});

it('after a purge, ports of a reload may wait', async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  await fake.json('purge', '--yes').catch(() => fake.daemon.operations.purge());
  expect(fake.host.taps).toEqual([]);
  fake.host.namespaces.clear();
  expect((await fake.ctl('reload')).code).toBe(0);
  expect((await fake.json<PortView[]>('port', 'ls'))[0]).toMatchObject({ state: 'waiting' });
});

it('a peer is the same however it is written', async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  const { err } = await fake.ctl('peer', 'add', 'net1', '10.200.0.2:4789');
  expect(err).toContain('the network has it already');
});

it("a stop leaves the lock file: it may be the next one's already", async () => {
  const fake = await FakeDaemon.running(NET1, hostWith('c1'));
  await writeFile(`${fake.socket}.lock`, '');
  await fake.stop();
  expect(await readdir(fake.folder)).toContain('control.sock.lock');
});
