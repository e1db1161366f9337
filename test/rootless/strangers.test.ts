// What somebody who may use the handover socket cannot do with it: hold the switch up.

import { readdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import { expectIdle } from '../support/idle.js';
import { OrdinaryUser } from '../support/ordinaryUser.js';
import { fileScope, testScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
const user = new OrdinaryUser(21_505);
let vswitchd: Vswitchd;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one'] });
  const [one] = hosts as [Host];
  vswitchd = await Vswitchd.start(scope, one, { user, networks: [{ name: 'net', vni: 256 }] });
}, 60_000);

const stranger = (script: string) =>
  Child.start(testScope(), {
    command: 'python3',
    args: ['-c', script, `${vswitchd.socket}.handover`],
  });

/** How many threads of vswitchd deal with a stranger's descriptors. */
async function errands(): Promise<number> {
  const folder = `/proc/${vswitchd.pid}/task`;
  const names = (await readdir(folder)).map((thread) =>
    readFile(`${folder}/${thread}/comm`, 'utf8').catch(() => ''),
  );
  return (await Promise.all(names)).filter((name) => name === 'handover errand\n').length;
}

test('descriptors that take long to close hold up neither other users nor the end', async () => {
  // Halted, so that they have closed theirs before the switch closes its own: the last one is that which lingers.
  process.kill(vswitchd.pid, 'SIGSTOP');
  try {
    const lingering = await Promise.all([stranger(LINGER), stranger(LINGER)]);
    await Promise.all(lingering.map((child) => child.waitForLine(/^sent$/)));
  } finally {
    process.kill(vswitchd.pid, 'SIGCONT');
  }
  await eventually('two that linger', async () => (await errands()) === 2);
  const c1 = await user.container(testScope(), 'c1', 1);
  await user.attach(vswitchd, c1);
  expect(await errands()).toBe(2);
  await vswitchd.ctl('port', 'rm', 'c1');
  expect(await errands()).toBe(2);
  await vswitchd.stop();
  await vswitchd.start();
}, 60_000);

test('without a free descriptor the counter waits, and does not spin', async () => {
  const limits = await readFile(`/proc/${vswitchd.pid}/limits`, 'utf8');
  const limit = Number(limits.match(/Max open files\s+(\d+)/)?.[1]);
  const allow = async (files: number) => {
    const words = user.words('prlimit', '--pid', `${vswitchd.pid}`, `--nofile=${files}:`);
    const [command = '', ...args] = words;
    await execa(command, args);
  };
  await allow(3);
  const waiting = await stranger(CALL);
  await waiting.waitForLine(/^called$/);
  await expectIdle(vswitchd);
  await allow(limit);
  await waiting.waitForLine(/^greeted$/);
}, 60_000);

/** Sends garbage with a TCP connection whose end, if that is its last descriptor, waits for a reader who never reads. */
const LINGER = `
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
with socket.create_server(('127.0.0.1', 0)) as door:
    full = socket.create_connection(door.getsockname())
    reader, _ = door.accept()
full.setblocking(False)
try:
    while True:
        full.send(bytes(65536))
except BlockingIOError:
    pass
full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 600))
socket.send_fds(s, [b'x'], [full.fileno()])
full.close()
print('sent', flush=True)
sys.stdin.read()
`;

/** Connects, and waits to be greeted. */
const CALL = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
print('called', flush=True)
print('greeted' if len(s.recv(64)) == 21 else 'refused', flush=True)
`;
