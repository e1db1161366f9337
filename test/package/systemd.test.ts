/** vswitchd under systemd, from the tarball and with the unit as it is shipped: what its sandbox leaves is enough. */

import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { fileScope } from '../support/testScope.js';
import { BootedSystemd } from './bootedSystemd.js';
import { platform, tarball, unpack, unpacked } from './released.js';

const CONFIGURATION = `
vtep: {address: 10.99.0.1}
docker: {}
networks:
  - {name: net1, vni: 256, peers: [10.99.0.2]}
`;

const scope = fileScope();
let tree: string;
let systemd: BootedSystemd;

/** The unit's sandbox around another program, which ends. */
function confined(unit: string, command: string): string {
  const sandbox = unit.replace(
    /^(Type|NotifyAccess|Exec\w+|Restart\w*|WatchdogSec|RuntimeDirectory\w*|Timeout\w+)=.*\n/gm,
    '',
  );
  return sandbox.replace('[Service]\n', `[Service]\nType=oneshot\nExecStart=${command}\n`);
}

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-unpacked-'));
  await scope.defer(folder, () => rm(folder, { recursive: true }));
  // One of its users is an ordinary one.
  await chmod(folder, 0o755);
  await unpack(tarball(platform), folder);
  tree = join(folder, unpacked);
  const unit = await readFile(join(tree, 'packaging/systemd/vswitchd.service'), 'utf8');
  const doctor = "-/bin/sh -c '/usr/local/bin/vswitchd --doctor > /run/confined'";
  const units = { 'vswitchd.service': unit, 'doctor.service': confined(unit, doctor) };
  systemd = await BootedSystemd.boot(scope, { tree, units, configuration: CONFIGURATION });
});

const vswitchctl = (...args: readonly string[]) => systemd.run('vswitchctl', ...args);

/** A namespace that is made while vswitchd runs, with its port. */
async function container(name: string, address: string): Promise<void> {
  await systemd.run('ip', 'netns', 'add', name);
  await vswitchctl(
    'port',
    'add',
    'net1',
    ...['--name', name, '--netns', name],
    '--address',
    address,
  );
}

const ping = (from: string, to: string) =>
  systemd.run('ip', 'netns', 'exec', from, 'ping', '-c', '3', '-i', '0.2', '-W', '5', to);

it('is active when it switches frames, with the capabilities of its unit and no others', async () => {
  await eventually('active', async () => (await systemd.property('ActiveState')) === 'active');
  expect(await systemd.property('StatusText')).toBe('Switching frames.');
  const pid = await systemd.property('MainPID');
  const status = await systemd.run('cat', `/proc/${pid}/status`);
  const held = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  const { stdout } = await execa('capsh', [`--decode=${held}`]);
  const names = stdout.split('=')[1]?.split(',').sort();
  const bounded = (await systemd.property('CapabilityBoundingSet')).split(' ').sort();
  expect(names).toEqual(bounded);
  expect(status).toMatch(/^Seccomp:\s*2$/m);
});

it('finds in its sandbox all that it finds without', async () => {
  await systemd.run('systemctl', 'start', 'doctor.service');
  const inside = await systemd.run('cat', '/run/confined');
  const { stdout: outside } = await systemd.try('vswitchd', '--doctor');
  expect(inside).toMatch(/^ok +tunnel_gso /m);
  expect(inside).toBe(outside);
});

it('switches between containers that came later, and to a kernel vxlan peer', async () => {
  await systemd.run('ip', 'netns', 'add', 'peer');
  await systemd.run('ip', 'link', 'set', 'dev', 'far', 'netns', 'peer');
  const peer = (...args: string[]) => systemd.run('ip', '-netns', 'peer', ...args);
  await peer('address', 'add', '10.99.0.2/24', 'dev', 'far');
  await peer('link', 'set', 'dev', 'far', 'up');
  const vxlan = ['id', '256', 'remote', '10.99.0.1', 'dstport', '4789'];
  await peer('link', 'add', 'name', 'vxlan0', 'type', 'vxlan', ...vxlan);
  await peer('address', 'add', '10.0.0.9/24', 'dev', 'vxlan0');
  await peer('link', 'set', 'dev', 'vxlan0', 'up');
  await container('c1', '10.0.0.1/24');
  await container('c2', '10.0.0.2/24');
  await ping('c1', '10.0.0.2');
  await ping('c2', '10.0.0.9');
});

it('opens packet ports', async () => {
  await systemd.run('ip', 'netns', 'add', 'c3');
  const veth = ['name', 'sw-c3', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'c3'];
  await systemd.run('ip', 'link', 'add', ...veth);
  await systemd.run('ip', 'link', 'set', 'dev', 'sw-c3', 'up');
  await systemd.run('ip', '-netns', 'c3', 'address', 'add', '10.0.0.3/24', 'dev', 'eth0');
  await systemd.run('ip', '-netns', 'c3', 'link', 'set', 'dev', 'eth0', 'up');
  await vswitchctl('port', 'add', 'net1', '--kind', 'packet', '--ifname', 'sw-c3');
  await ping('c3', '10.0.0.1');
});

it("attaches an ordinary user's container: root by its namespace, the user by handing a TAP over", async () => {
  const user = ['setpriv', '--reuid', '21510', '--regid', '21510', '--clear-groups'];
  const inside = [...user, 'unshare', '--user', '--map-root-user', '--net', 'sleep', 'infinity'];
  const start = `${inside.join(' ')} > /dev/null 2>&1 &
    until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
    echo $!`;
  const [c4, c5] = [await systemd.run('sh', '-c', start), await systemd.run('sh', '-c', start)];
  const named = (name: string, address: string) => ['--name', name, '--address', address];
  const byRoot = await systemd.try('vswitchctl', 'port', 'add', 'net1', '--rootless', c4);
  expect(byRoot.stderr).toContain(
    'where vswitchd runs as root, attach it with --netns PID instead',
  );
  await vswitchctl('port', 'add', 'net1', '--netns', c4, ...named('c4', '10.0.0.4/24'));
  await ping('c1', '10.0.0.4');
  const socket = '/run/vswitchd/control.sock';
  await systemd.run('chmod', '666', socket, `${socket}.handover`);
  const words = ['vswitchctl', '--socket', socket, 'port', 'add', 'net1', '--rootless', c5];
  const [command = '', ...args] = [...user, ...words, ...named('c5', '10.0.0.5/24')];
  await systemd.run(command, ...args);
  await ping('c1', '10.0.0.5');
});

it('has the socket at which dockerd finds it', async () => {
  const socket = '/run/docker/plugins/vswitch.sock';
  expect(await systemd.run('stat', '--format=%F', socket)).toBe('socket');
});

it('reloads, and keeps its containers over a restart', async () => {
  await systemd.run('systemctl', 'reload', 'vswitchd.service');
  await systemd.run('systemctl', 'restart', 'vswitchd.service');
  expect(await systemd.property('ActiveState')).toBe('active');
  await ping('c1', '10.0.0.2');
  expect(await systemd.property('NRestarts')).toBe('0');
});
