/** vswitchctl capture against a daemon whose datapath gives what the test says. */

import { chmod, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it, vi } from 'vitest';
import { pcapngBlocks } from '../../../src/capture/pcapngBlocks.js';
import type { OutputStream } from '../../../src/cli/context.js';
import { runControl } from '../../../src/cli/main.js';
import { captureBody } from '../../../src/control/captureApi.js';
import type { FakeCapture } from '../../support/fakeCapture.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';

const NET1 = 'networks: [{name: net1, vni: 300}]\n';

interface Running {
  readonly code: Promise<number>;
  readonly said: { out: string; err: string };
  readonly packets: Buffer[];
  interrupt(): void;
}

function run(fake: FakeDaemon, args: readonly string[], more: { isTTY?: boolean } = {}): Running {
  const said = { out: '', err: '' };
  const packets: Buffer[] = [];
  const stdout: OutputStream = Object.assign(new PassThrough(), more);
  stdout.on('data', (chunk) => packets.push(chunk));
  const interrupted = new AbortController();
  const code = runControl(['--socket', fake.socket, ...args], {
    out: (text) => {
      said.out += text;
    },
    err: (text) => {
      said.err += text;
    },
    stdout,
    signal: interrupted.signal,
  });
  return { code, said, packets, interrupt: () => interrupted.abort() };
}

/** Runs, and has begun. */
async function begun(fake: FakeDaemon, ...args: string[]): Promise<Running & { it: FakeCapture }> {
  const running = run(fake, ['capture', ...args]);
  await vi.waitFor(() => expect(running.said.err).toContain('capturing on'));
  const it = fake.host.datapath?.captured.at(-1);
  if (it === undefined) throw new Error('no capture');
  return { ...running, it };
}

function blocks(bytes: Uint8Array): number {
  let count = 0;
  for (const step of pcapngBlocks(bytes)) {
    if (!step.ok) throw new Error(step.what);
    count += 1;
  }
  return count;
}

describe('capture', () => {
  it('asks for what was wanted', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, said, interrupt, it } = await begun(
      fake,
      ...['net1', '--peer', '10.200.0.2', '--both', '--drops'],
      ...['--filter', 'tcp port 80', '-c', '5', '--snaplen', '96'],
    );
    expect(it.spec).toEqual({
      ...{ network: 'net1', peer: '10.200.0.2', side: 'both', dropsOnly: true },
      ...{ filter: 'tcp port 80', maxPackets: 5, snaplen: 96, socket: expect.any(String) },
    });
    interrupt();
    expect(await code).toBe(0);
    expect(said).toEqual({
      out: '',
      err: 'capturing on net1, peer 10.200.0.2, drops (filter by libpcap), Ctrl-C ends\n0 packets captured, 0 lost\n',
    });
  });

  it('to standard output ends by a signal with the statistics: 0', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, said, packets, interrupt, it } = await begun(fake, 'net1');
    it.lost = 7;
    it.send(60, 1400);
    await vi.waitFor(() => expect(blocks(Buffer.concat(packets))).toBe(4));
    interrupt();
    expect(await code).toBe(0);
    expect(blocks(Buffer.concat(packets))).toBe(5);
    expect(said.err).toMatch(/\n2 packets captured, 7 lost\n$/);
  });

  it('to a file ends by its count: 0', async () => {
    const fake = await FakeDaemon.running(NET1);
    const file = join(fake.folder, 'net1.pcapng');
    const { code, said, it } = await begun(fake, 'net1', '-c', '3', '-w', file);
    it.send(60, 60, 60);
    expect(await code).toBe(0);
    expect(blocks(await readFile(file))).toBe(6);
    expect(said.err).toMatch(/\n3 packets captured, 0 lost, 1 file\n$/);
  });

  it('rotates', async () => {
    const fake = await FakeDaemon.running(NET1);
    const args = ['-w', join(fake.folder, 'net1.pcapng'), '--rotate', '4k', '--files', '2'];
    const { code, said, interrupt, it } = await begun(fake, ...args);
    for (let n = 0; n < 10; n += 1) it.send(1500);
    await vi.waitFor(async () => expect(await readdir(fake.folder)).toContain('net1_00005.pcapng'));
    interrupt();
    expect(await code).toBe(0);
    expect(said.err).toMatch(/\n10 packets captured, 0 lost, 2 files\n$/);
    const names = (await readdir(fake.folder)).filter((name) => name.startsWith('net1_'));
    expect(names.sort()).toEqual(['net1_00004.pcapng', 'net1_00005.pcapng']);
  });

  it('with --json gives the summary, where the packets are not', async () => {
    const fake = await FakeDaemon.running(NET1);
    const file = join(fake.folder, 'x.pcapng');
    for (const [args, where, files] of [
      [['-w', file], 'out', [file]],
      [['-w', '-'], 'err', []],
    ] as const) {
      const { code, said, interrupt } = run(fake, ['--json', 'capture', ...args]);
      await vi.waitFor(() => expect(fake.host.datapath?.captures()[0]?.state).toBe('running'));
      interrupt();
      expect(await code).toBe(0);
      expect(JSON.parse(said[where])).toEqual({
        ...{ packets: 0, lost: 0, files },
        bytes: expect.any(Number),
      });
      expect(said[where === 'out' ? 'err' : 'out']).toBe('');
    }
  });

  it('to a full disk ends with the sentence: 1', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, said } = run(fake, ['capture', '-w', '/dev/full']);
    expect(await code).toBe(1);
    expect(said.err).toMatch(/cannot write the capture to \/dev\/full: .*ENOSPC.*kept\n$/);
    await vi.waitFor(() => expect(fake.host.datapath?.captures()).toEqual([]));
  });

  it('of a daemon that dies keeps what came: 1', async () => {
    const fake = await FakeDaemon.running(NET1);
    const file = join(fake.folder, 'net1.pcapng');
    const { code, said, it } = await begun(fake, 'net1', '-w', file);
    const packet = it.forge.packet(0, Buffer.alloc(100));
    it.sendRaw(Buffer.concat([packet, packet, packet.subarray(0, 50)]));
    await vi.waitFor(async () => expect(blocks(await readFile(file))).toBe(4));
    it.break();
    expect(await code).toBe(1);
    expect(said.err).toMatch(/\n2 packets captured, 0 lost, 1 file\n.*the capture of net1 was cut/);
    expect(blocks(await readFile(file))).toBe(4);
  });

  it('of a daemon that stops keeps what came: 1', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, said } = await begun(fake, 'net1');
    await fake.stop();
    expect(await code).toBe(1);
    expect(said.err).toContain('the capture of net1 was cut short: vswitchd went away');
  });

  it('is listed, and ended from elsewhere: 0', async () => {
    const fake = await FakeDaemon.running(NET1);
    const { code, it } = await begun(fake, 'net1', '--filter', 'arp');
    it.send(60);
    expect((await fake.ctl('capture', '--list')).out).toMatch(
      /^ID {2}OF +STATE .*\n 1 +net1, inner, arp +running +1 +0 /,
    );
    expect(await fake.ctl('capture', '--end', '2')).toMatchObject({
      code: 1,
      err: 'vswitchctl: there is no capture 2: none of that number runs; see `vswitchctl capture --list`\n',
    });
    expect((await fake.ctl('capture', '--end', '1')).out).toBe('ended capture 1\n');
    expect(await code).toBe(0);
    expect((await fake.ctl('capture', '--list')).out).toBe('No capture runs.\n');
    expect(await fake.json('capture', '--list')).toEqual([]);
  });

  it('refuses what is not there, and makes no file for it', async () => {
    const fake = await FakeDaemon.running(NET1);
    const file = join(fake.folder, 'none');
    for (const [args, sentence] of [
      [['net9'], 'there is no network net9'],
      [['net1', '--port', 'c9'], 'there is no port c9: network net1 has none of that name'],
      [['--port', 'c9'], 'there is no port c9'],
    ] as const) {
      const { code, err } = await fake.ctl('capture', ...args, '-w', file);
      expect([code, err]).toEqual([1, expect.stringContaining(sentence)]);
    }
    expect(await readdir(fake.folder)).not.toContain('none');
  });

  it('may be read by whoever may use the control socket', async () => {
    const fake = await FakeDaemon.running(NET1);
    for (const mode of [0o600, 0o660]) {
      await chmod(fake.socket, mode);
      const { id } = await fake.daemon.operations.capture(captureBody.parse({}));
      const path = fake.host.datapath?.captured.at(-1)?.spec.socket ?? '';
      expect((await stat(path)).mode & 0o777).toBe(mode);
      fake.daemon.operations.endCapture(id);
    }
  });

  it.each([
    [['--inner', '--outer']],
    [['--both', '--outer']],
    [['-c', '0']],
    [['--snaplen', '262145']],
    [['--peer', 'host']],
    [['--rotate', '10M']],
    [['--rotate', '10M', '-w', '-']],
    [['--rotate', '1k', '-w', 'file']],
    [['--rotate', '10T', '-w', 'file']],
    [['--files', '3', '-w', 'file']],
    [['--list', '--end', '1']],
    [['--list', '-w', 'file']],
    [['--end', 'x']],
    [['net1', 'net2']],
  ])('%j is bad usage: 2', async (args) => {
    const fake = await FakeDaemon.create();
    const { code, err } = await fake.ctl('capture', ...args);
    expect([code, err]).toEqual([2, expect.stringContaining('error:')]);
  });

  it('does not write packets to a terminal: 2', async () => {
    const fake = await FakeDaemon.create();
    const { code, said } = run(fake, ['capture'], { isTTY: true });
    expect(await code).toBe(2);
    expect(said.err).toBe(
      'error: packets are not written to a terminal; use `-w FILE`, or `-w - | wireshark -k -i -`\n',
    );
  });
});
