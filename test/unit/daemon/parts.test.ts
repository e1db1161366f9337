import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { RateLimit } from '../../../src/daemon/events.js';
import { logTo, plainLines } from '../../../src/daemon/log.js';
import { parseCommandLine } from '../../../src/daemon/options.js';
import { nameOwner } from '../../../src/daemon/udpOwner.js';
import { SwitchError } from '../../../src/model/error.js';
import { FakeHost } from '../../support/fakeDatapath.js';

describe('the owner of a UDP port', () => {
  const taken = new SwitchError('PORT_IN_USE', '10.0.0.1:4789', { syscall: 'bind', errno: 98 });
  const { probe } = new FakeHost();

  /** A /proc in which process 77 (`dockerd`) has a socket on UDP port 4789. */
  async function procfs(): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'vswitchd-'));
    onTestFinished(() => rm(root, { recursive: true }));
    await mkdir(join(root, 'net'));
    await mkdir(join(root, '77', 'fd'), { recursive: true });
    await mkdir(join(root, '5'));
    await writeFile(join(root, '77', 'comm'), 'dockerd\n');
    await symlink('socket:[4242]', join(root, '77', 'fd', '3'));
    await symlink('/dev/null', join(root, '77', 'fd', '1'));
    const head =
      'sl local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n';
    const line =
      ' 1: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 4242 2 0 0\n';
    await writeFile(join(root, 'net', 'udp'), head + line);
    return root;
  }

  it('[N233] is found among processes', async () => {
    const named = await nameOwner(taken, probe, { root: await procfs() });
    expect(named.message).toContain('dockerd (process 77) holds UDP port 4789');
    expect(named.message).toContain('EADDRINUSE');
  });

  it('that cannot be found leaves the error as it is', async () => {
    const other = new SwitchError('PORT_IN_USE', '[fd00::1]:9', {});
    expect(await nameOwner(other, probe, { root: await procfs() })).toBe(other);
    expect(await nameOwner(taken, probe, { root: '/nowhere' })).toBe(taken);
  });

  it('is not a vxlan device that is down', async () => {
    const down = { ...probe, vxlanDevices: [{ ifname: 'vx', vni: 1, udpPort: 4789, up: false }] };
    expect(await nameOwner(taken, down, { root: '/nowhere' })).toBe(taken);
  });
});

describe('the rate limit', () => {
  it('[B31] lets five lines of a kind through in ten seconds and counts the rest', () => {
    const limit = new RateLimit();
    const admitted = Array.from({ length: 100 }, (_, n) => limit.admit('a', n)).filter(
      (n) => n !== undefined,
    );
    expect(admitted).toEqual([0, 0, 0, 0, 0]);
    expect(limit.admit('b', 100)).toBe(0);
    expect(limit.admit('a', 10_000)).toBe(95);
    expect(limit.admit('a', 10_001)).toBe(0);
  });
});

describe('the log', () => {
  it('is JSON with time and level in words', () => {
    const lines: string[] = [];
    logTo({ write: (line) => void lines.push(line) }, 'info').info({ port: 'c1' }, 'port attached');
    expect(JSON.parse(lines[0]!)).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      port: 'c1',
      msg: 'port attached',
    });
  });

  it('is one plain line on a terminal', () => {
    const lines: string[] = [];
    const log = logTo(plainLines({ write: (line: string) => lines.push(line) }), 'info');
    log.warn({ port: 'c1', reason: 'it is gone', list: [1] }, 'port waiting');
    log.debug('unseen');
    expect(lines).toEqual([
      expect.stringMatching(
        /^\d\d:\d\d:\d\d warn {2}port waiting port=c1 reason="it is gone" list=\[1\]\n$/,
      ),
    ]);
  });
});

describe('the command line of vswitchd', () => {
  const deaf = { out: () => {}, err: () => {} };
  const parse = (...args: string[]) => parseCommandLine(args, deaf);

  it('says where the page is, and which token it asks for', () => {
    expect(parse('--vtep', '10.0.0.1', '--http', '127.0.0.1:4780')).toMatchObject({
      http: { listen: { address: '127.0.0.1', port: 4780 } },
    });
    expect(
      parse('--vtep', '10.0.0.1', '--http', '[FD00::1]:80', '--http-token-file', '/run/token'),
    ).toMatchObject({
      http: { listen: { address: 'fd00::1', port: 80 }, token_file: '/run/token' },
    });
    expect(parse('--vtep', '10.0.0.1')).not.toHaveProperty('http.listen');
  });

  it('names a file or an address', () => {
    expect(parse('--config', 'a.yaml')).toEqual({
      task: 'run',
      source: { config: 'a.yaml' },
      socket: undefined,
      logLevel: 'info',
    });
    expect(parse('--vtep', '10.0.0.1', '--log-level', 'debug', '--socket', '/x.sock')).toEqual({
      task: 'run',
      source: { vtep: '10.0.0.1' },
      socket: '/x.sock',
      logLevel: 'debug',
    });
  });

  it('may name the store, and serve Docker', () => {
    const more = ['--store', 'etcd://10.0.0.9/x', '--docker'];
    expect(parse('--vtep', '10.0.0.1', ...more)).toMatchObject({
      store: { kind: 'etcd', addresses: ['10.0.0.9:2379'], prefix: 'x' },
      docker: { plugin: '/run/docker/plugins/vswitch.sock', engine: '/var/run/docker.sock' },
    });
  });

  it('asks for a report, with or without what for', () => {
    expect(parse('--doctor')).toEqual({ task: 'doctor', source: undefined });
    expect(parse('--doctor', '--json')).toMatchObject({ task: 'doctor', json: true });
    expect(parse('--doctor', '--vtep', '10.0.0.1')).toEqual({
      task: 'doctor',
      source: { vtep: '10.0.0.1' },
    });
  });

  it('says what it was asked for and nothing else; how long additions last', () => {
    let out = '';
    const output = { ...deaf, out: (text: string) => (out += text) };
    expect(() => parseCommandLine(['--help'], output)).toThrow(
      expect.objectContaining({ exitCode: 0 }),
    );
    expect(out).toMatch(/^Usage: vswitchd /);
    expect(out).toContain('/run/vswitchd/control.state.json');
    expect(out).toContain('under /run not a reboot');
  });

  it.each([
    [[]],
    [['--config', 'a', '--vtep', '10.0.0.1']],
    [['--vtep', '10.0.0.1', '--store', 'redis://h/']],
    [['--vtep', '10.0.0.1', '--http', '4780']],
    [['--vtep', '10.0.0.1', '--http', 'localhost:4780']],
    [['--vtep', '10.0.0.1', '--http', '127.0.0.1:65536']],
    [['--vtep', '10.0.0.1', '--http-token-file', '/run/token']],
    [['--vtep', '10.0.0.1', '--socket', `/${'x'.repeat(120)}`]],
    [['--vtep', '10.0.0.1', '--log-level', 'loud']],
    [['--vtep', '10.0.0.1', '--json']],
    [['--vtep', '10.0.0.1', 'extra']],
  ])('%j is bad usage', (args) => {
    let told = '';
    const output = { ...deaf, err: (text: string) => (told += text) };
    expect(() => parseCommandLine(args, output)).toThrow(expect.objectContaining({ exitCode: 1 }));
    expect(told).toMatch(/^error: /);
  });
});
