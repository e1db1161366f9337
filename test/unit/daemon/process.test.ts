/** The two programs as processes: arguments, signals, exit codes. No rights are needed: nothing is attached. */

import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';

const program = (name: string) =>
  fileURLToPath(new URL(`../../../dist/bin/${name}.js`, import.meta.url));

/** A start takes a second where nothing else runs. */
const PATIENCE_MS = 20_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS });

let folder: string;
let socket: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  socket = join(folder, 'control.sock');
  onTestFinished(() => rm(folder, { recursive: true }));
});

/** `vswitchd ARGS`, running until it ends or the test does. */
function vswitchd(...args: string[]) {
  const child = execa(process.execPath, [program('vswitchd'), ...args], { reject: false });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await child;
  });
  return child;
}

/** Resolves when the log has a line with this message. */
async function logged(child: ReturnType<typeof vswitchd>, message: string): Promise<void> {
  let log = '';
  const listen = (chunk: Buffer) => {
    log += chunk.toString();
  };
  child.stderr.on('data', listen);
  await vi.waitFor(() => expect(log).toContain(`"msg":"${message}"`), PATIENCE_MS);
  child.stderr.off('data', listen);
}

const ctl = (...args: string[]) =>
  execa(process.execPath, [program('vswitchctl'), '--socket', socket, ...args], { reject: false });

describe('vswitchd', () => {
  it('runs until SIGTERM, outlives SIGHUP, and leaves no socket', async () => {
    const child = vswitchd('--vtep', '127.0.0.1', '--socket', socket);
    await logged(child, 'ready');
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
    expect((await ctl('status', '--json')).stdout).toContain('"state": "ok"');
    const refused = logged(child, 'reload refused, the old configuration runs on');
    child.kill('SIGHUP');
    await refused;
    child.kill('SIGTERM');
    expect((await child).exitCode).toBe(0);
    const left = ['machine.json', 'sock.lock', 'store.json'];
    expect(await readdir(folder)).toEqual(left.map((end) => expect.stringMatching(`${end}$`)));
  });

  it('[N234] refuses to be the second on a socket, and takes over from a killed one', async () => {
    const first = vswitchd('--vtep', '127.0.0.1', '--socket', socket);
    await logged(first, 'ready');
    const second = await vswitchd('--vtep', '127.0.0.1', '--socket', socket);
    expect([second.exitCode, second.stderr]).toEqual([
      1,
      expect.stringMatching(/^vswitchd: cannot start on [^\n]*$/),
    ]);
    first.kill('SIGKILL');
    await first;
    const third = vswitchd('--vtep', '127.0.0.1', '--socket', socket);
    await logged(third, 'ready');
    expect((await ctl('status')).exitCode).toBe(0);
  });

  it('refuses a bad file with all its problems: 1', async () => {
    await writeFile(
      join(folder, 'a.yaml'),
      'vtep: {address: 127.0.0.1}\nnetworks:\n  - {name: a, vni: 0}\nbogus: 1\n',
    );
    const { exitCode, stderr, stdout } = await vswitchd('--config', join(folder, 'a.yaml'));
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('networks[0].vni (line 3): 0 is refused');
    expect(stderr).toContain('bogus (line 4): unknown key');
  });

  it('knows bad usage: 2, help and version: 0', async () => {
    expect((await vswitchd()).exitCode).toBe(2);
    expect((await vswitchd('--nonsense')).exitCode).toBe(2);
    expect(await vswitchd('--help')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^Usage: vswitchd /),
      stderr: '',
    });
    expect(await vswitchd('--version')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      stderr: '',
    });
  });
});

describe('vswitchd --doctor', () => {
  it('reports without running, and fails when something that is needed is missing', async () => {
    const plain = await vswitchd('--doctor');
    expect(plain.stdout).toMatch(/CAP_NET_ADMIN/);
    expect(plain.exitCode).toBe(plain.stdout.includes('MISSING') ? 1 : 0);
    const nowhere = await vswitchd('--doctor', '--vtep', '192.0.2.1');
    expect(nowhere.stdout).toMatch(/^MISSING +VTEP 192\.0\.2\.1 /m);
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([1, '']);
  });
});

describe('vswitchctl', () => {
  it('ends at Ctrl-C though the socket never answers: 130', async () => {
    const server = createServer();
    const asked = new Promise((connected) => server.once('connection', connected));
    await new Promise<void>((listening) => server.listen(socket, listening));
    const child = ctl('status');
    await asked;
    child.kill('SIGINT');
    const { exitCode, stdout, stderr } = await child;
    server.close();
    expect([exitCode, stdout, stderr]).toEqual([130, '', '']);
  });

  it('without daemon is refused: 1', async () => {
    const { exitCode, stderr } = await ctl('status');
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining(`no vswitchd answers on ${socket}`),
    ]);
  });

  it('takes the socket from the environment too', async () => {
    const env = { VSWITCHD_SOCKET: socket };
    const { stderr } = await execa(process.execPath, [program('vswitchctl'), 'status'], {
      env,
      reject: false,
    });
    expect(stderr).toContain(socket);
  });

  it('survives a reader that has seen enough', async () => {
    const child = vswitchd('--vtep', '127.0.0.1', '--socket', socket);
    await logged(child, 'ready');
    const { stderr } = await execa(
      'sh',
      [
        '-c',
        `"$0" "$1" --socket "$2" --json drops --all | true`,
        process.execPath,
        program('vswitchctl'),
        socket,
      ],
      { reject: false },
    );
    expect(stderr).toBe('');
  });
});
