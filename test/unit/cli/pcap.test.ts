import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { onEthernet, pcapBytes, vxlanPacket } from '../../support/captureForge.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { ethernet, ipv4, numberedMac, PROTOCOL } from '../../support/frames.js';

const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
const packet = ipv4({ ...ends, protocol: PROTOCOL.tcp }, Buffer.alloc(20));
const frame = ethernet({ src: numberedMac(1), dst: numberedMac(2) }, packet);
const loop = ethernet({ src: numberedMac(3), dst: numberedMac(3) }, packet);
const file = pcapBytes([frame, frame, loop].map((inside) => onEthernet(vxlanPacket(inside))));

async function fileOf(bytes: Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'a.pcap');
  await writeFile(path, bytes);
  return path;
}

it('shows a capture, without any vswitchd: 0', async () => {
  const nobody = await FakeDaemon.create();
  const { code, out, err } = await nobody.ctl('pcap', await fileOf(file));
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain('VXLAN:   3 datagrams of 1 VNI');
  expect(out).toMatch(/VNI 256\n {2}frames: 3, 162 bytes, 1 of them to be dropped\n/);
  expect(out).toMatch(/ {2}carry: +IPv4 TCP 3 \(100 %\)\n/);
  expect(out).toMatch(/ {2}10\.200\.0\.1 +10\.200\.0\.2 +4789 +3 +162\n/);
  expect(out).toMatch(/ {2}02:00:00:00:00:01 +10\.200\.0\.1 +2 +108 +-\n/);
  expect(out).toMatch(/rx\.src_eq_dst +1 +3 +Source and destination MAC are the same\./);
});

it('--json gives it whole', async () => {
  const nobody = await FakeDaemon.create();
  const report = await nobody.json('pcap', await fileOf(file));
  expect(report).toMatchObject({ packets: 3, networks: [{ vni: 256, frames: 3, refused: 1 }] });
});

it('looks on the ports that it is given alone', async () => {
  const nobody = await FakeDaemon.create();
  const path = await fileOf(file);
  expect(await nobody.json('pcap', path, '--udp-port', '8472')).toMatchObject({ datagrams: 0 });
  const both = ['--udp-port', '8472', '--udp-port', '4789'];
  expect(await nobody.json('pcap', path, ...both)).toMatchObject({ datagrams: 3 });
});

it('what ends too early is told with what was read: 1', async () => {
  const nobody = await FakeDaemon.create();
  const { code, out } = await nobody.ctl('pcap', await fileOf(file.subarray(0, file.length - 3)));
  expect(code).toBe(1);
  expect(out).toContain('VXLAN:   2 datagrams');
  expect(out).toMatch(/at byte \d+ the capture ends within a packet/);
});

it('a file that is not there: 1', async () => {
  const nobody = await FakeDaemon.create();
  const { code, out, err } = await nobody.ctl('pcap', '/nowhere/a.pcap');
  expect([code, out]).toEqual([1, '']);
  expect(err).toContain('cannot read /nowhere/a.pcap: the file cannot be opened or read (ENOENT');
});

it.each([
  [['pcap']],
  [['pcap', 'a.pcap', '--interface', 'eth0']],
  [['pcap', 'a.pcap', '--seconds', '3']],
  [['pcap', 'a.pcap', '--udp-port', '0']],
  [['pcap', '--interface', 'eth0', '--seconds', '0']],
])('%j is bad usage: 2', async (args) => {
  const nobody = await FakeDaemon.create();
  expect(await nobody.ctl(...args)).toMatchObject({ code: 2, out: '' });
});
