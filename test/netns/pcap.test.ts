/**
 * `vswitchctl pcap` on real VXLAN, live and from files of other programs, with tshark as the judge.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 *                 └ libpcap, tcpdump
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';
import type { PcapReport } from '../../src/capture/offline/report.js';
import { decodePcap } from '../support/capture.js';
import { onEthernet, pcapBytes, vxlanPacket } from '../support/captureForge.js';
import { ethernet, icmpEcho, ipv4, numberedMac, PROTOCOL } from '../support/frames.js';
import { createKernelPair, type KernelPair } from '../support/kernelPair.js';
import { temporaryDirectory } from '../support/netns.js';
import { expectPing } from '../support/ping.js';
import { fileScope, testScope } from '../support/testScope.js';
import { UNDERLAY_IFNAME } from '../support/topology.js';

const PROGRAM = fileURLToPath(new URL('../../dist/bin/vswitchctl.js', import.meta.url));
const scope = fileScope();
let folder: string;

beforeAll(async () => {
  folder = await temporaryDirectory(scope, 'pcap');
});

async function pcap(...args: string[]): Promise<PcapReport> {
  const { stdout } = await execa(process.execPath, [PROGRAM, '--json', 'pcap', ...args]);
  return JSON.parse(stdout) as PcapReport;
}

/** Frames by VNI, as tshark counts them. */
async function countedByTshark(file: string): Promise<Record<string, number>> {
  const packets = await decodePcap(file, ['vxlan.vni'], 'vxlan');
  const counts: Record<string, number> = {};
  for (const packet of packets) {
    const vni = packet['vxlan.vni'];
    counts[vni] = (counts[vni] ?? 0) + 1;
  }
  return counts;
}

const countedByUs = (report: PcapReport) =>
  Object.fromEntries(report.networks.map(({ vni, frames }) => [String(vni), frames]));

/** Some packets of several networks, over IPv4 and IPv6, on both ports. */
async function writeMixture(): Promise<string> {
  const packets = Array.from({ length: 300 }, (_, n) => {
    const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
    const echo = icmpEcho(ends, { type: 'request', sequence: n }, Buffer.alloc(n % 90));
    const macs = { src: numberedMac(n % 7), dst: numberedMac(100 + (n % 5)) };
    const frame = ethernet(macs, ipv4({ ...ends, protocol: PROTOCOL.icmp }, echo));
    const vteps =
      n % 2 === 0
        ? { from: `10.200.0.${1 + (n % 3)}`, to: '10.200.0.9' }
        : { from: `fd00:200::${1 + (n % 3)}`, to: 'fd00:200::9' };
    const ports = { destinationPort: n % 4 === 0 ? 8472 : 4789 };
    return onEthernet(vxlanPacket(frame, { ...vteps, vni: 256 + (n % 4), udp: ports }));
  });
  const file = join(folder, 'mixture.pcap');
  await writeFile(file, pcapBytes(packets));
  return file;
}

test('counts what tshark counts, in every format that other programs write', async () => {
  const file = await writeMixture();
  const expected = await countedByTshark(file);
  expect(Object.values(expected).reduce((sum, n) => sum + n, 0)).toBe(300);
  const first = await pcap(file);
  expect(countedByUs(first)).toEqual(expected);
  for (const format of ['pcap', 'nsecpcap', 'pcapng']) {
    const converted = join(folder, `converted.${format}`);
    await execa('editcap', ['-F', format, file, converted]);
    const report = await pcap(converted);
    expect(report.networks).toEqual(first.networks);
    expect(report.problems).toEqual([]);
  }
  const cut = join(folder, 'cut.pcapng');
  await execa('editcap', ['-s', '96', file, cut]);
  expect(countedByUs(await pcap(cut))).toEqual(expected);
  const tshark = join(folder, 'tshark.pcapng');
  await execa('tshark', ['-r', file, '-w', tshark]);
  expect((await pcap(tshark)).networks).toEqual(first.networks);
  const piped = await execa(process.execPath, [PROGRAM, '--json', 'pcap', '-'], {
    inputFile: tshark,
  });
  expect(JSON.parse(piped.stdout)).toEqual(await pcap(tshark));
});

async function pinged(pair: KernelPair): Promise<void> {
  await expectPing(pair.c1, { to: pair.c2.address[4], count: 3 });
}

function expectConversation(report: PcapReport, pair: KernelPair): void {
  const { one, two, c1, c2 } = pair;
  const network = report.networks.find(({ vni }) => vni === 256);
  expect(network).toBeDefined();
  const places = new Map(network?.macs.map(({ mac, vtep }) => [mac, vtep]));
  expect(places.get(c1.mac)).toBe(one.address[4]);
  expect(places.get(c2.mac)).toBe(two.address[4]);
  const pings = network?.protocols.find(({ protocol }) => protocol === 'IPv4 ICMP');
  expect(pings?.frames).toBeGreaterThanOrEqual(6);
  expect(network?.vteps.map(({ from }) => from).sort()).toEqual([one.address[4], two.address[4]]);
  expect(report).toMatchObject({ drops: [], moves: [], problems: [], lost: 0, capped: [] });
}

test('listens on the underlay until it is interrupted, and sees what tcpdump sees', async () => {
  const own = testScope();
  const pair = await createKernelPair(own);
  const { namespace } = pair.one;
  const file = join(folder, 'live.pcap');
  const dump = ['-i', UNDERLAY_IFNAME, '-w', file, '-Z', 'root', '-U', '--immediate-mode', 'udp'];
  const tcpdump = await namespace.spawn(own, { command: 'tcpdump', args: dump });
  await tcpdump.waitForLine(/listening on/);
  const live = await namespace.spawn(own, {
    command: process.execPath,
    args: [PROGRAM, '--json', 'pcap', '--interface', UNDERLAY_IFNAME],
  });
  await live.waitForLine(/listening on und0/);
  await pinged(pair);
  expect(await live.stop('SIGINT')).toMatchObject({ code: 0 });
  await tcpdump.stop('SIGINT');
  const report = JSON.parse(live.stdout) as PcapReport;
  expectConversation(report, pair);
  const offline = await pcap(file);
  expectConversation(offline, pair);
  expect(countedByUs(offline)).toEqual(await countedByTshark(file));
});

test('ends by itself after the seconds that were asked for', async () => {
  const own = testScope();
  const pair = await createKernelPair(own);
  const live = await pair.two.namespace.spawn(own, {
    command: process.execPath,
    args: [PROGRAM, '--json', 'pcap', '--interface', UNDERLAY_IFNAME, '--seconds', '5'],
  });
  await live.waitForLine(/listening on/);
  await pinged(pair);
  expect(await live.exited).toMatchObject({ code: 0 });
  expectConversation(JSON.parse(live.stdout) as PcapReport, pair);
});

test('an interface that is not there is a sentence', async () => {
  const args = [PROGRAM, 'pcap', '--interface', 'nowhere0'];
  const { exitCode, stderr } = await execa(process.execPath, args, { reject: false });
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(
    /cannot listen on interface nowhere0: libpcap refuses it .*No such device/,
  );
});
