/** What the service manager is told: by whom it is started, that it lives, that it ends. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type ServiceEnvironment, ServiceManager } from '../../../src/daemon/serviceManager.js';
import type { Counters } from '../../../src/datapath/seam.js';
import { SwitchError } from '../../../src/model/error.js';

const PATIENCE_MS = 20_000;

/** A datapath with two workers whose turns are `turns`, and what the manager heard through it. */
function fixture(environment: ServiceEnvironment) {
  const heard: string[] = [];
  const turns = [1, 1];
  const messenger = {
    notifyServiceManager: (_: string, state: string) => void heard.push(state),
    counters: () => ({ workers: turns.map((count) => ({ turns: count })) }) as Counters,
  };
  const log = pino({ level: 'silent' });
  const manager = new ServiceManager(messenger, environment, log);
  onTestFinished(() => manager.stopping());
  return { manager, heard, turns, messenger, log };
}

const SOCKET = { NOTIFY_SOCKET: '/run/manager' };

describe('the watchdog', () => {
  it('is fed while every worker takes turns, and not when one stands still', () => {
    const { manager, heard, turns } = fixture(SOCKET);
    manager.look();
    expect(heard).toEqual(['WATCHDOG=1']);
    manager.look();
    expect(heard).toHaveLength(1);
    turns[0]! += 1;
    manager.look();
    expect(heard, 'the second stands').toHaveLength(1);
    turns[0]! += 1;
    turns[1]! += 1;
    manager.look();
    expect(heard).toHaveLength(2);
  });

  it.each([
    ['every half of its time', { WATCHDOG_USEC: '2000000' }, 1],
    ['for us', { WATCHDOG_USEC: '2000000', WATCHDOG_PID: String(process.pid) }, 1],
    ['not for another process', { WATCHDOG_USEC: '2000000', WATCHDOG_PID: '1' }, 0],
    ['not without a time', {}, 0],
    ['not for nonsense', { WATCHDOG_USEC: 'soon' }, 0],
  ])('is fed %s', (_, environment, times) => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { manager, heard } = fixture({ ...SOCKET, ...environment });
    manager.ready();
    vi.advanceTimersByTime(1000);
    expect(heard.filter((state) => state === 'WATCHDOG=1')).toHaveLength(times);
  });

  it('is not fed once the end has begun', () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const { manager, heard } = fixture({ ...SOCKET, WATCHDOG_USEC: '2000000' });
    manager.ready();
    manager.stopping();
    vi.advanceTimersByTime(5000);
    expect(heard.map((state) => state.split('\n')[0])).toEqual(['READY=1', 'STOPPING=1']);
  });
});

describe('the manager', () => {
  it('hears nothing where nobody wants to know', () => {
    const { manager, heard } = fixture({});
    manager.ready();
    manager.reloading();
    manager.stopping();
    expect(heard).toEqual([]);
  });

  it('may be away: one warning, no error', () => {
    const { messenger, log } = fixture({});
    const warn = vi.spyOn(log, 'warn').mockImplementation(() => {});
    const deaf = new ServiceManager(
      {
        ...messenger,
        notifyServiceManager: () => {
          throw new SwitchError('IO', '/run/manager');
        },
      },
      SOCKET,
      log,
    );
    deaf.ready();
    deaf.stopping();
    expect(warn).toHaveBeenCalledTimes(1);
  });
});

describe('vswitchd under a service manager', () => {
  it.each(['path', 'abstract name'])(
    'tells by a real socket with a %s when it is ready, lives, reloads and stops',
    async (kind) => {
      const folder = await mkdtemp(join(tmpdir(), 'vswitchd-service-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      const socket = kind === 'path' ? join(folder, 'notify') : `@${folder}/notify`;
      const manager = execa('python3', ['-u', '-c', LISTENER, socket], { reject: false });
      onTestFinished(async () => {
        manager.kill('SIGKILL');
        await manager;
      });
      let heard = '';
      manager.stdout.on('data', (text) => {
        heard += String(text);
      });
      const hears = (text: string) =>
        vi.waitFor(() => expect(heard).toContain(text), { timeout: PATIENCE_MS });
      await hears('listening');

      const file = join(folder, 'vswitchd.yaml');
      await writeFile(file, 'vtep: {address: 127.0.0.1}\n');
      const program = fileURLToPath(new URL('../../../dist/bin/vswitchd.js', import.meta.url));
      const control = join(folder, 'control.sock');
      const daemon = execa(process.execPath, [program, '--config', file, '--socket', control], {
        reject: false,
        env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' },
      });
      onTestFinished(async () => {
        daemon.kill('SIGKILL');
        await daemon;
      });
      await hears('READY=1');
      await hears('WATCHDOG=1');
      heard = '';
      daemon.kill('SIGHUP');
      await hears('RELOADING=1\\nMONOTONIC_USEC=');
      await hears('READY=1');
      daemon.kill('SIGTERM');
      await hears('STOPPING=1');
      expect((await daemon).exitCode).toBe(0);
    },
    3 * PATIENCE_MS,
  );
});

/** Prints every datagram to a unix socket as a JSON string. */
const LISTENER = `
import json, socket, sys
name = sys.argv[1]
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind("\\0" + name[1:] if name.startswith("@") else name)
print("listening")
while True:
    print(json.dumps(manager.recv(4096).decode()))
`;
