/** How a command ends that gets no answer, a refusal or an interrupt. */

import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { runControl, type Terminal } from '../../../src/cli/main.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';

const NET1 = 'networks: [{name: net1, vni: 300}]\n';

/** A socket that takes every request and never answers. */
async function silentSocket(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  const socket = join(folder, 'silent.sock');
  const server = createServer((connection) => {
    connection.resume();
    connection.on('error', () => {});
  });
  await new Promise<void>((listening) => server.listen(socket, listening));
  onTestFinished(async () => {
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return socket;
}

interface Running {
  readonly code: Promise<number>;
  /** What it has printed so far. */
  readonly said: { out: string; err: string };
  interrupt(): void;
}

function run(socket: string, args: readonly string[], more: Partial<Terminal> = {}): Running {
  const said = { out: '', err: '' };
  const interrupted = new AbortController();
  const code = runControl(['--socket', socket, ...args], {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    stdout: new PassThrough(),
    signal: interrupted.signal,
    ...more,
  });
  return { code, said, interrupt: () => interrupted.abort() };
}

describe('an interrupt', () => {
  it.each([[['status']], [['purge']], [['network', 'add', 'n']], [['stats', '--watch']]])(
    'ends %j at once, also when nobody answers: 130',
    async (args) => {
      const { code, said, interrupt } = run(await silentSocket(), args);
      interrupt();
      expect(await code).toBe(130);
      expect(said).toEqual({ out: '', err: '' });
    },
  );

  it('ends what watches: 130', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, said, interrupt } = run(fake.socket, ['stats', '--watch']);
    await vi.waitFor(() => expect(said.out).toContain('Balanced'));
    interrupt();
    expect(await code).toBe(130);
  });
});

describe('no answer', () => {
  it.each([
    ['status', { usual: 1, long: 1e9 }],
    ['reload', { usual: 1e9, long: 1 }],
    ['purge', { usual: 1e9, long: 1 }],
  ])('to %s in time is a sentence of its own: 1', async (command, patience) => {
    const socket = await silentSocket();
    const { code, said } = run(socket, [command], { patience });
    expect(await code).toBe(1);
    expect(said.err).toMatch(/^vswitchctl: .*silent\.sock does not answer: [^\n]+; [^\n]+\n$/);
  });
});

describe('--json', () => {
  it("gives a refusal as the API's error on standard error", async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, out, err } = await fake.ctl('--json', 'network', 'add', 'b/c');
    expect([code, out]).toEqual([1, '']);
    expect(JSON.parse(err)).toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining('the request is refused'),
      problems: [{ path: 'name', value: 'b/c' }],
    });
  });

  it('gives a daemon that is not there in the same shape', async () => {
    const fake = await FakeDaemon.create();
    const { code, err } = await fake.ctl('status', '--json');
    expect(code).toBe(1);
    expect(JSON.parse(err)).toEqual({
      code: 'NO_DAEMON',
      message: expect.stringContaining(fake.socket),
    });
  });

  it('with --watch is one document in each line', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, said, interrupt } = run(fake.socket, ['--json', 'stats', '--watch']);
    await vi.waitFor(() => expect(said.out).toContain('\n'));
    interrupt();
    await code;
    for (const line of said.out.trimEnd().split('\n')) {
      expect(JSON.parse(line)).toMatchObject({ balanced: true });
    }
  });
});

describe('doctor', () => {
  it('fails when something that is needed is missing, and prints the report', async () => {
    const fake = await FakeDaemon.running(NET1);
    fake.host.probe = { ...fake.host.probe, netAdmin: false };
    expect(await fake.ctl('doctor')).toMatchObject({
      code: 1,
      out: expect.stringContaining('not ready: something that is needed is missing.'),
      err: '',
    });
    expect(await fake.ctl('--json', 'doctor')).toMatchObject({
      code: 1,
      out: expect.stringContaining('"ready": false'),
    });
  });

  it('without a daemon, and without its program, names what to start', async () => {
    const fake = await FakeDaemon.create();
    expect(await fake.ctl('doctor')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^vswitchctl: no vswitchd answers on .*start it/),
    });
  });
});
