/**
 * One container in trouble, the others not.
 *
 *   c1, c3, ... ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 */

import { readdir } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import { allOf, eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { expectIdle } from '../support/idle.js';
import { createKernelPair, type KernelPair } from '../support/kernelPair.js';
import { markedFrame } from '../support/marked.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { createContainer } from '../support/topology.js';
import { portArguments, type Refused } from '../support/vswitchd.js';

const scope = fileScope();
let pair: KernelPair;

beforeAll(async () => {
  pair = await createKernelPair(scope);
});

async function othersWork(): Promise<void> {
  const { c1, c2 } = pair;
  await expectPing(c2, { to: c1.address[4], count: 20 });
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 });
}

test('[O249] a container whose interface is down drops at its own port only', async () => {
  const { c2, vswitchd } = pair;
  const c3 = await createContainer(testScope(), 'c3', 3);
  await vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
  await expectPing(c3, { to: c2.address[4] });
  await c3.namespace.ip('link set dev eth0 down');
  await allOf([
    sendFrames(
      c2,
      Array.from({ length: 500 }, (_, n) => markedFrame(c3.mac, c2.mac, `${n}`)),
    ),
    othersWork(),
  ]);
  await eventually('drops at its port', async () => {
    const port = (await vswitchd.network('net')).ports.find(({ name }) => name === 'c3');
    const frames = port?.drops.reduce((sum, drop) => sum + drop.frames, 0) ?? 0;
    return frames >= 500;
  });
  await c3.namespace.ip('link set dev eth0 up');
  await expectPing(c2, { to: c3.address[4] });
  await vswitchd.ctl('port', 'rm', 'c3');
});

test('[O249] a process that is stopped in the middle of a transfer holds up nobody else', async () => {
  const { c2, vswitchd } = pair;
  const c3 = await createContainer(testScope(), 'c3', 3);
  await vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
  const stream = await openStream(testScope(), { from: c2, to: c3, family: 4 });
  stream.acceptor.signal('SIGSTOP');
  await othersWork();
  stream.acceptor.signal('SIGCONT');
  await stream.goesOn();
  await stream.finish();
  await vswitchd.ctl('port', 'rm', 'c3');
});

test('[O250] without file descriptors a new port fails, the others run on, and later it works', async () => {
  const { c2, vswitchd } = pair;
  const c3 = await createContainer(testScope(), 'c3', 3);
  const open = (await readdir(`/proc/${vswitchd.pid}/fd`)).map(Number);
  // Room for the connection of the request itself, not for a namespace and a TAP.
  const limit = firstLimitWithRoom(new Set(open), 2);
  const prlimit = async (...args: string[]) =>
    (await execa('prlimit', ['--pid', `${vswitchd.pid}`, ...args])).stdout.trim();
  const usual = await prlimit('--nofile', '-o', 'SOFT', '--noheadings');
  await prlimit(`--nofile=${limit}:`);
  const refused = vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
  await expect(refused).rejects.toSatisfy((error: Refused) => {
    expect(error.exitCode).toBe(1);
    expect(error.message).toMatch(/file descriptor/);
    return true;
  });
  await othersWork();
  await prlimit(`--nofile=${usual}:`);
  await vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
  await expectPing(c3, { to: c2.address[4] });
  await vswitchd.ctl('port', 'rm', 'c3');
});

/** The smallest RLIMIT_NOFILE under which `room` descriptors are still free. */
function firstLimitWithRoom(open: ReadonlySet<number>, room: number): number {
  let free = 0;
  for (let limit = 0; ; limit += 1) {
    if (free === room) return limit;
    if (!open.has(limit)) free += 1;
  }
}

test('[O251] a namespace that disappears makes its port `gone`, without a busy loop', async () => {
  const { c1, c2, vswitchd } = pair;
  const c3 = await createContainer(testScope(), 'c3', 3);
  await vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
  await expectPing(c3, { to: c2.address[4] });
  await vswitchd.learned(c3.mac, { port: 'c3' });
  await c3.namespace.remove();
  await eventually('port gone', async () => {
    const ports = await vswitchd.ctl<readonly { name: string; state: string }[]>('port', 'ls');
    return ports.find(({ name }) => name === 'c3')?.state !== 'up';
  });
  expect((await vswitchd.fdb()).map((entry) => entry.mac)).not.toContain(c3.mac);
  await othersWork();
  await expectIdle(vswitchd);
  await expectPing(c1, { to: c2.address[4] });
  await vswitchd.ctl('port', 'rm', 'c3');
});
