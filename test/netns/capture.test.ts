/**
 * What vswitchctl captures, as tshark reads it.
 *
 *   c1 ── vswitchd (host a) ══ underlay ══ vswitchd (host b) ── c2      network net1, VNI 256
 */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { CaptureView } from '../../src/control/client.js';
import type { Child, ChildSpec } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import { BROADCAST } from '../support/frames.js';
import { markedFrame } from '../support/marked.js';
import { temporaryDirectory } from '../support/netns.js';
import { createOverlayPair, type OverlayPair } from '../support/overlayPair.js';
import { expectPing, ping } from '../support/ping.js';
import { expectTransfer, openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import {
  complaintsOf,
  expectFlawless,
  fieldArguments,
  readCapture,
  rowsOf,
} from '../support/tshark.js';
import { Vswitchd } from '../support/vswitchd.js';
import { sendOverVxlan } from '../support/vxlanForge.js';

const scope = fileScope();
let pair: OverlayPair;

beforeAll(async () => {
  pair = await createOverlayPair(scope);
  await expectPing(pair.c1, { to: '10.0.0.2' });
});

/** A capture on host a, once it takes packets. */
async function capture(...args: string[]): Promise<Child> {
  const child = await pair.a.spawnCtl(testScope(), 'capture', ...args);
  await child.waitForLine(/capturing on/);
  return child;
}

async function folder(): Promise<string> {
  return await temporaryDirectory(testScope(), 'capture');
}

/** Ends it as Ctrl-C does; what it says at last. */
async function interrupted(child: Child): Promise<{ packets: number; lost: number }> {
  expect(await child.stop('SIGINT')).toEqual({ code: 0, signal: undefined });
  const [, packets, lost] = /(\d+) packets captured, (\d+) lost/.exec(child.stderr) ?? [];
  return { packets: Number(packets), lost: Number(lost) };
}

/** Frames that came by the tunnel, as the counters say. */
async function fromTunnel(): Promise<number> {
  const { ports } = await pair.a.network('net1');
  return ports.find(({ name }) => name.startsWith('10.200.0.2'))?.rx_frames ?? 0;
}

/** Captures net1; whoever calls what it resolves to ends that, and gets the packets that came by the tunnel. */
async function taken(...args: string[]) {
  const file = join(await folder(), 'taken.pcapng');
  const child = await capture('net1', '--snaplen', '96', ...args, '-w', file);
  return async () => {
    expect((await interrupted(child)).lost).toBe(0);
    const fields = [
      'frame.interface_name',
      'frame.len',
      'frame.packet_id',
      'frame.comment',
    ] as const;
    const rows = await readCapture(file, fields);
    const came = rows.filter((row) => row['frame.interface_name'].startsWith('net1/10.200.0.2'));
    const packets = came.map((row) => ({
      id: row['frame.packet_id'],
      length: Number(row['frame.len']),
      frames: Number(/; (\d+) frames/.exec(row['frame.comment'])?.[1] ?? 1),
    }));
    return { packets, frames: packets.reduce((sum, { frames }) => sum + frames, 0) };
  };
}

describe('a file', () => {
  test('has every frame once, with what the switch decided', async () => {
    const file = join(await folder(), 'net1.pcapng');
    const child = await capture('net1', '-w', file);
    await expectPing(pair.c1, { to: '10.0.0.2', count: 3 });
    const { packets, lost } = await interrupted(child);
    await expectFlawless(file);
    const fields = ['icmp.seq', 'icmp.type', 'frame.interface_name', 'frame.comment'] as const;
    const rows = await readCapture(file, fields, 'icmp');
    expect([lost, packets]).toEqual([0, (await readCapture(file, ['frame.number'])).length]);
    // On a busy machine ping asks again before it is answered, and more often.
    const seen = rows.map((row) => `${row['icmp.type']} ${row['icmp.seq']}`);
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(['8 1', '0 1', '8 2', '0 2', '8 3', '0 3']));
    for (const row of rows) {
      const asks = row['icmp.type'] === '8';
      expect(row['frame.interface_name']).toContain(asks ? 'net1/c1' : 'net1/10.200.0.2');
      expect(row['frame.comment']).toContain(asks ? '10.200.0.2' : 'c1');
      expect(row['frame.comment']).toContain('FDB entry');
    }
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('of both sides links each frame with its datagram by packet ID', async () => {
    const file = join(await folder(), 'both.pcapng');
    const child = await capture('net1', '--both', '-w', file);
    await expectPing(pair.c1, { to: '10.0.0.2', count: 3 });
    await interrupted(child);
    await expectFlawless(file);
    const fields = ['frame.packet_id', 'vxlan.vni', 'icmp.type', 'icmp.seq', 'ip.src'] as const;
    const rows = await readCapture(file, fields, 'icmp');
    const outer = rows.filter((row) => row['vxlan.vni'] !== '');
    const inner = rows.filter((row) => row['vxlan.vni'] === '');
    expect(inner.length).toBeGreaterThanOrEqual(6);
    expect(outer.length).toBe(inner.length);
    for (const frame of inner) {
      const around = outer.filter((row) => row['frame.packet_id'] === frame['frame.packet_id']);
      expect(around).toEqual([
        {
          ...frame,
          'vxlan.vni': '256',
          'ip.src': `${frame['icmp.type'] === '8' ? '10.200.0.1' : '10.200.0.2'},${frame['ip.src']}`,
        },
      ]);
    }
  });

  test('shows frames that leave together as one packet, which counts for them', async () => {
    const before = await fromTunnel();
    const [all, large] = await Promise.all([taken(), taken('--filter', 'greater 2000')]);
    const begun = await fromTunnel();
    await expectTransfer({ from: pair.c2, to: pair.c1, family: 4, bytes: 4_000_000 });
    const done = await fromTunnel();
    const [sums, sumsOfLarge] = [await all(), await large()];
    const after = await fromTunnel();
    expect(sums.packets.some(({ length }) => length > 2000)).toBe(true);
    expect(sums.packets.length).toBeLessThan(sums.frames / 2);
    // Hosts also speak unasked.
    expect(sums.frames).toBeGreaterThanOrEqual(done - begun);
    expect(sums.frames).toBeLessThanOrEqual(after - before);
    // The filter is judged on what is shown.
    expect(sumsOfLarge.packets).toEqual(sums.packets.filter(({ length }) => length >= 2000));
    await pair.a.balanced();
  });

  test('takes what the filter takes, as many as asked, no more of each than asked', async () => {
    const file = join(await folder(), 'filtered.pcapng');
    const child = await capture(
      ...['net1', '--filter', 'icmp and src host 10.0.0.1', '-c', '4', '--snaplen', '40'],
      ...['-w', file],
    );
    await expectPing(pair.c1, { to: '10.0.0.2', count: 8 });
    expect(await child.exited).toEqual({ code: 0, signal: undefined });
    expect(child.stderr).toMatch(/\n4 packets captured, 0 lost, 1 file\n$/);
    const rows = await readCapture(file, ['ip.src', 'icmp.type', 'frame.cap_len', 'frame.len']);
    const row = {
      'ip.src': '10.0.0.1',
      'icmp.type': '8',
      'frame.cap_len': '40',
      'frame.len': '98',
    };
    expect(rows).toEqual(Array(4).fill(row));
  });

  test('of drops has each under its name', async () => {
    const file = join(await folder(), 'drops.pcapng');
    const child = await capture('--drops', '-c', '2', '-w', file);
    await expectPing(pair.c1, { to: '10.0.0.2' });
    const frame = markedFrame(BROADCAST, '02:00:00:00:00:77', 'stray');
    const [from, to] = [pair.b.host, pair.a.host];
    await sendOverVxlan({ from, to, vni: 999 }, [frame, frame]);
    expect((await child.exited).code).toBe(0);
    const rows = await readCapture(file, ['vxlan.vni', 'frame.comment']);
    expect(rows.map((row) => row['vxlan.vni'])).toEqual(['999', '999']);
    for (const row of rows) expect(row['frame.comment']).toContain('rx.vni_unknown');
  });

  test('that rotates is many, each readable by itself, which add up', async () => {
    const into = await folder();
    const args = ['--rotate', '4k', '-w', join(into, 'net1.pcapng')];
    const child = await capture('net1', ...args);
    await expectPing(pair.c1, { to: '10.0.0.2', count: 20, size: 400 });
    const { packets } = await interrupted(child);
    const names = (await readdir(into)).sort();
    expect(names.length).toBeGreaterThan(3);
    expect(names[0]).toBe('net1_00001.pcapng');
    let sum = 0;
    for (const name of names) {
      const file = join(into, name);
      expect((await stat(file)).size).toBeLessThanOrEqual(4096 * 2);
      await expectFlawless(file);
      sum += (await readCapture(file, ['frame.number'])).length;
    }
    expect(sum).toBe(packets);
    expect(packets).toBeGreaterThanOrEqual(40);
  });
});

describe('a pipe', () => {
  test('shows packets while they pass, and ends with the capture', async () => {
    const fields = ['frame.number', 'icmp.seq', 'frame.comment'] as const;
    const { child, reader } = await piped(['net1', '--filter', 'icmp'], {
      command: 'tshark',
      args: ['-l', '-n', '-r', '-', ...fieldArguments(fields)],
    });
    await expectPing(pair.c1, { to: '10.0.0.2', count: 2 });
    const rows = await eventually('four rows', () => {
      const seen = rowsOf(reader.stdout, fields);
      return seen.length >= 4 && seen;
    });
    expect(rows.map((row) => row['icmp.seq'])).toEqual(expect.arrayContaining(['1', '2']));
    expect(reader.running).toBe(true);
    const [running] = await pair.a.ctl<CaptureView[]>('capture', '--list');
    expect(running).toMatchObject({ of: 'net1, inner, icmp', state: 'running', lost: 0 });
    expect(running?.packets).toBeGreaterThanOrEqual(4);
    await pair.a.ctl('capture', '--end', `${running?.id}`);
    expect(await child.exited).toEqual({ code: 0, signal: undefined });
    expect(child.stderr).toMatch(/\n\d+ packets captured, 0 lost\n$/);
    expect(await reader.exited).toEqual({ code: 0, signal: undefined });
    expect(complaintsOf(reader.stderr)).toBe('');
  });

  test('that nobody empties holds no traffic up, and what is lost is counted', async () => {
    const { child, reader } = await piped(['net1', '--both'], { command: 'cat', args: [] });
    const [running] = await pair.a.ctl<CaptureView[]>('capture', '--list');
    const lost = async () => (await pair.a.ctl<CaptureView[]>('capture', '--list'))[0]?.lost ?? 0;
    reader.signal('SIGSTOP');
    const stream = await openStream(testScope(), { from: pair.c1, to: pair.c2, family: 4 });
    await eventually('packets that are lost', async () => (await lost()) > 100, { within: 30_000 });
    expect((await ping(pair.c1, { to: '10.0.0.2', count: 20 })).received).toBe(20);
    await stream.goesOn();
    await stream.finish();
    const counted = await lost();
    // The reader takes what there was, and learns what there was not.
    reader.signal('SIGCONT');
    await pair.a.ctl('capture', '--end', `${running?.id}`);
    expect((await child.exited).code).toBe(0);
    const said = /(\d+) packets captured, (\d+) lost/.exec(child.stderr);
    expect(Number(said?.[2])).toBeGreaterThanOrEqual(counted);
  });

  test('whose reader goes ends the capture in peace', async () => {
    const { child, reader } = await piped(['net1'], { command: 'cat', args: [] });
    await reader.stop('SIGKILL');
    while (child.running) await expectPing(pair.c1, { to: '10.0.0.2', count: 2 });
    expect(await child.exited).toEqual({ code: 0, signal: undefined });
    expect(child.stderr).toMatch(/^capturing on net1 .*\n$/);
  });

  /** `vswitchctl capture ARGS -w - | READER`; through a pipe with a name, so that each end can be signalled. */
  async function piped(args: readonly string[], { command, args: words }: ChildSpec) {
    const pipe = join(await folder(), 'pipe');
    const { namespace } = pair.a.host;
    await namespace.exec('mkfifo', [pipe]);
    const quoted = (argv: readonly string[]) => argv.map((word) => `'${word}'`).join(' ');
    const run = (script: string) =>
      namespace.spawn(testScope(), { command: 'sh', args: ['-c', script] });
    const reader = await run(`exec ${quoted([command, ...words])} < ${pipe}`);
    const ctl = pair.a.ctlCommand('capture', ...args, '-w', '-');
    const child = await run(`exec ${quoted(ctl)} > ${pipe}`);
    await child.waitForLine(/capturing on/);
    return { child, reader };
  }
});

describe('trouble', () => {
  test('on a full disk the capture ends with a sentence, and traffic goes on', async () => {
    const stream = await openStream(testScope(), { from: pair.c1, to: pair.c2, family: 4 });
    const { exitCode, stderr } = await pair.a.tryCtl('capture', 'net1', '-w', '/dev/full');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/cannot write the capture to \/dev\/full: .*ENOSPC/);
    await stream.goesOn();
    await stream.finish();
    expect(await pair.a.ctl('capture', '--list')).toEqual([]);
  });

  test('a daemon that dies leaves a capture that is whole', async () => {
    const file = join(await folder(), 'cut.pcapng');
    const child = await capture('net1', '-w', file);
    await expectPing(pair.c1, { to: '10.0.0.2', count: 3 });
    await eventually('packets in the file', async () => (await stat(file)).size > 1000);
    await pair.a.kill();
    expect((await child.exited).code).toBe(1);
    expect(child.stderr).toMatch(/the capture of net1 was cut short: vswitchd went away/);
    await expectFlawless(file);
    expect((await readCapture(file, ['frame.number'], 'icmp')).length).toBeGreaterThan(0);
    await pair.a.start();
    await expectPing(pair.c1, { to: '10.0.0.2' });
  });

  test('the control socket may have a longer path than a socket may have', async () => {
    const { hosts } = await createUnderlay(testScope(), { hosts: ['c'] });
    const [host] = hosts as [Host];
    // The control socket's just fits sockaddr_un(7), the capture's does not.
    const into = await folder();
    const directory = join(into, 'd'.repeat(107 - into.length - '//s'.length));
    const socket = join(directory, 's');
    const vswitchd = await Vswitchd.start(testScope(), host, { networks: [], socket });
    const child = await vswitchd.spawnCtl(testScope(), 'capture', '-w', join(into, 'file'));
    await child.waitForLine(/capturing on all networks/);
    expect(await interrupted(child)).toEqual({ packets: 0, lost: 0 });
    await expectFlawless(join(into, 'file'));
  });

  test('a filter that is none is refused with the reason', async () => {
    const { exitCode, stderr } = await pair.a.tryCtl(
      'capture',
      '--filter',
      'tcp prot 80',
      '-w',
      '-',
    );
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('tcp prot 80')]);
  });
});
