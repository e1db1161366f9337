// What a container that was attached without root leaves behind when it ends, and what is refused.

import { chmod, readlink, rename } from 'node:fs/promises';
import { connect } from 'node:net';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import type { PortView } from '../../src/control/views.js';
import { eventually } from '../support/eventually.js';
import { attachment, namespaceFreed, OrdinaryUser } from '../support/ordinaryUser.js';
import { expectPing } from '../support/ping.js';
import { fileScope, testScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { PROGRAMS, Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
const [u1, u2] = [new OrdinaryUser(21_503), new OrdinaryUser(21_504)];
let vswitchd: Vswitchd;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one'] });
  const [one] = hosts as [Host];
  const networks = [{ name: 'net', vni: 256 }];
  vswitchd = await Vswitchd.start(scope, one, { user: u1, networks });
}, 120_000);

const ports = async () => (await vswitchd.ctl<PortView[]>('port', 'ls')).map(({ name }) => name);
const descriptors = async () =>
  (await execa('ls', [`/proc/${vswitchd.pid}/fd`])).stdout.split('\n').length;

test('a container that ends takes its port along, and its namespace is freed', async () => {
  const before = await descriptors();
  const c1 = await u1.container(testScope(), 'c1', 1);
  await u1.attach(vswitchd, c1);
  expect(await ports()).toEqual(['c1']);
  const inode = (await readlink(`/proc/${c1.init.pid}/ns/net`)).replace(/\D/g, '');
  // The test's own name for the namespace would keep it alive too.
  await execa('ip', ['netns', 'del', c1.namespace.name]);
  await c1.init.stop('SIGKILL');
  await eventually('end of the port', async () => (await ports()).length === 0);
  await namespaceFreed(inode);
  const { stdout } = await vswitchd.tryCtl('history');
  expect(stdout).toContain('its container has ended');
  await eventually('descriptors closed', async () => (await descriptors()) <= before);
}, 120_000);

test('a port that is removed leaves nothing in the container, which can be attached again', async () => {
  const scope = testScope();
  const c1 = await u1.container(scope, 'c1', 1);
  const c2 = await u1.container(scope, 'c2', 2);
  await u1.attach(vswitchd, c1);
  await u1.attach(vswitchd, c2);
  await vswitchd.ctl('port', 'rm', 'c1');
  const links = await c1.namespace.ipJson<{ ifname: string }[]>('link', 'show');
  expect(links.map(({ ifname }) => ifname)).toEqual(['lo']);
  await u1.attach(vswitchd, c1);
  await expectPing(c1, { to: c2.address[4] });
  await vswitchd.ctl('port', 'rm', 'c1');
  await vswitchd.ctl('port', 'rm', 'c2');
}, 120_000);

test('a port that is refused leaves nothing in the container', async () => {
  const c1 = await u1.container(testScope(), 'c1', 1);
  const words = attachment(c1).map((word) => (word === 'net' ? 'nowhere' : word));
  const refused = await u1.ctl(vswitchd, ...words);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('there is no network nowhere');
  await eventually('end of the TAP', async () => {
    const links = await c1.namespace.ipJson<{ ifname: string }[]>('link', 'show');
    return links.length === 1;
  });
}, 120_000);

test("another user's container, and another user's switch, are closed", async () => {
  const theirs = await u2.container(testScope(), 'c2', 2);
  const entering = await u1.ctl(vswitchd, ...attachment(theirs));
  expect(entering.exitCode).toBe(1);
  const what = `cannot enter the container of process ${theirs.init.pid}: it is another user's`;
  expect(entering.stderr).toContain(what);
  const using = await u2.ctl(vswitchd, ...attachment(theirs));
  expect(using.exitCode).toBe(1);
  expect(using.stderr).toContain('only its owner may use the control socket');
  expect(await ports()).toEqual([]);
}, 120_000);

test('a ticket that nobody has is refused', async () => {
  const ask = execa('curl', [
    ...['-s', '--unix-socket', vswitchd.socket, '-H', 'content-type: application/json'],
    ...['-d', JSON.stringify({ name: 'x', handover: '0'.repeat(32) })],
    'http://vswitchd/v1/networks/net/ports',
  ]);
  expect(JSON.parse((await ask).stdout)).toMatchObject({ code: 'HANDOVER_GONE' });
  expect(await ports()).toEqual([]);
});

test('garbage at the handover socket is answered and closed, and costs no descriptor', async () => {
  const before = await descriptors();
  for (const message of ['', 'x', 'vh', 'GET / HTTP/1.1\r\n\r\n', OFFER]) {
    const { stdout } = await execa('python3', ['-c', SAY, `${vswitchd.socket}.handover`, message]);
    expect(stdout.trim()).toMatch(/^(21 1|21 2)$/);
  }
  const say = ['-c', SAY, `${vswitchd.socket}.handover`, OFFER];
  const strangers = await execa('python3', [...say, '2']);
  expect(strangers.stdout.trim()).toBe('21 2');
  // More than there is room for: the kernel cuts them off.
  const tooMany = await execa('python3', [...say, '200']);
  expect(tooMany.stdout.trim()).toBe('21 1');
  const many = await execa('python3', ['-c', CROWD, `${vswitchd.socket}.handover`]);
  // Those for whom there is no room hear just why.
  expect(many.stdout.trim()).toMatch(/^16 of 21, 8 of 1$/);
  await eventually('descriptors closed', async () => (await descriptors()) <= before);
  await vswitchd.balanced();
}, 120_000);

test("the handover socket is its owner's alone", async () => {
  const { stdout } = await execa('stat', ['-c', '%a %u', `${vswitchd.socket}.handover`]);
  expect(stdout).toBe(`600 ${u1.uid}`);
  // It speaks in whole messages: Node, whose sockets are streams, cannot even connect.
  await expect(
    new Promise((resolve, reject) => {
      connect(`${vswitchd.socket}.handover`).on('connect', resolve).on('error', reject);
    }),
  ).rejects.toMatchObject({ code: 'EPROTOTYPE' });
});

test('what is no container of ours is refused in words, and left alone', async () => {
  const c1 = await u1.container(testScope(), 'c1', 1);
  const attach = async (pid: number, ...more: string[]) => {
    const words = ['port', 'add', 'net', '--rootless', `${pid}`, '--name', 'c1', ...more];
    const { exitCode, stderr } = await u1.ctl(vswitchd, ...words);
    return `${exitCode} ${stderr}`;
  };
  expect(await attach(4_194_304)).toMatch(/^1 .*process 4194304: there is no such process; name/);
  expect(await attach(process.pid)).toMatch(/^1 .*: it is another user's; run this as the user/);
  expect(await attach(vswitchd.pid)).toMatch(/^1 .*: it is in no user namespace but our own; name/);
  const asRoot = [PROGRAMS.vswitchctl, '--socket', vswitchd.socket, ...attachment(c1)];
  const root = await vswitchd.host.namespace.tryExec(process.execPath, asRoot);
  expect(root.stderr).toContain('its owner could take over what root runs in there; run this as');
  const inside = ['--user', '--map-root-user', 'sh', '-c', 'echo ready; exec sleep infinity'];
  const [command = '', ...args] = u1.words('unshare', ...inside);
  const half = await vswitchd.host.namespace.spawn(testScope(), { command, args });
  await half.waitForLine(/^ready$/);
  expect(await attach(half.pid)).toMatch(/^1 .*: it has no network namespace of its own; start/);
  expect(await attach(c1.init.pid, '--ifname', 'x'.repeat(16))).toMatch(/^2 .*Allowed: 1-15 bytes/);
  expect(await attach(c1.init.pid, '--netns', 'c1')).toMatch(/^2 .*cannot be used with option/);
  const links = await c1.namespace.ipJson<{ ifname: string }[]>('link', 'show');
  expect(links.map(({ ifname }) => ifname)).toEqual(['lo']);
  await u1.attach(vswitchd, c1);
  expect(await attach(c1.init.pid, '--name', 'again')).toMatch(
    /^1 .*: the container has an interface of that name .*; choose another name with --ifname/,
  );
  await vswitchd.ctl('port', 'rm', 'c1');
}, 120_000);

test('without vswitchd, and without its handover socket, it is said so', async () => {
  const scope = testScope();
  const c1 = await u1.container(scope, 'c1', 1);
  const handover = `${vswitchd.socket}.handover`;
  await rename(handover, `${handover}.away`);
  const closed = await u1.ctl(vswitchd, ...attachment(c1));
  await rename(`${handover}.away`, handover);
  expect(closed.exitCode).toBe(1);
  expect(closed.stderr).toMatch(
    /at .*: it was not taken \(.*no vswitchd listens there.*; try again/,
  );
  await vswitchd.stop();
  const alone = await u1.ctl(vswitchd, ...attachment(c1));
  await vswitchd.start();
  expect(alone.exitCode).toBe(1);
  expect(alone.stderr).toMatch(/no vswitchd answers on/);
}, 120_000);

test('after a restart the port says what brings it back, and that gives it what it had', async () => {
  const scope = testScope();
  const c1 = await u1.container(scope, 'c1', 1);
  const c2 = await u1.container(scope, 'c2', 2);
  await u1.attach(vswitchd, c1);
  await vswitchd.stop();
  await vswitchd.start();
  const [port] = await vswitchd.ctl<PortView[]>('port', 'ls');
  expect(port).toMatchObject({ name: 'c1', state: 'waiting' });
  expect(port?.reason).toContain('vswitchctl port add NETWORK --rootless PID --name PORT');
  await u1.attach(vswitchd, c2);
  const words = ['port', 'add', 'net', '--rootless', `${c1.init.pid}`, '--name', 'c1'];
  const again = await u1.ctl(vswitchd, ...words);
  expect(again).toMatchObject({ exitCode: 0, stderr: '' });
  await expectPing(c2, { to: c1.address[4] });
  const back = (await vswitchd.ctl<PortView[]>('port', 'ls')).find(({ name }) => name === 'c1');
  const addresses = [`${c1.address[4]}/24`, `${c1.address[6]}/64`];
  expect(back).toMatchObject({ state: 'up', mac: c1.mac, addresses });
  // A port that is up is nobody's to replace.
  const taken = await u1.ctl(vswitchd, ...words, '--ifname', 'eth1');
  expect(taken.exitCode).toBe(1);
  expect(taken.stderr).toContain('c1');
  await vswitchd.ctl('port', 'rm', 'c1');
  await vswitchd.ctl('port', 'rm', 'c2');
}, 120_000);

test('one switch has containers of two users, each of whom attaches his own', async () => {
  const scope = testScope();
  const c1 = await u1.container(scope, 'c1', 1);
  const c2 = await u2.container(scope, 'c2', 2);
  const { folder, socket } = vswitchd;
  await Promise.all([chmod(folder, 0o711), chmod(socket, 0o666)]);
  await chmod(`${socket}.handover`, 0o666);
  await u1.attach(vswitchd, c1);
  await u2.attach(vswitchd, c2);
  await expectPing(c1, { to: c2.address[4] });
  await c2.init.stop('SIGKILL');
  await eventually('end of the port', async () => !(await ports()).includes('c2'));
  await vswitchd.ctl('port', 'rm', 'c1');
}, 120_000);

/** As a helper would say it of one queue. */
const OFFER = `vh\x01\x01${'0'.repeat(16)}`;

/** Sends one message, with as many descriptors, which are no TAP's, as asked; prints how long the greeting is, and the answer. */
const SAY = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
s.connect(sys.argv[1])
greeting = s.recv(64)
null = [open('/dev/null') for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 0)]
socket.send_fds(s, [sys.argv[2].encode()], [file.fileno() for file in null])
print(len(greeting), s.recv(64)[0])
`;

/** Two dozen at the counter at once; prints how many heard a greeting, and how many a refusal. */
const CROWD = `
import socket, sys
crowd = []
for _ in range(24):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(sys.argv[1])
    crowd.append((s, len(s.recv(64))))
lengths = [length for _, length in crowd]
print(', '.join(f'{lengths.count(n)} of {n}' for n in sorted(set(lengths), reverse=True)))
`;
