/** The interfaces of vswitchd in tshark, which calls `vswitchctl extcap` as Wireshark does. */

import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { Child } from '../support/child.js';
import { type ExecResult, temporaryDirectory } from '../support/netns.js';
import { createOverlayPair, type OverlayPair } from '../support/overlayPair.js';
import { expectPing } from '../support/ping.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  complaintsOf,
  expectFlawless,
  fieldArguments,
  readCapture,
  rowsOf,
} from '../support/tshark.js';

const scope = fileScope();
let pair: OverlayPair;
/** A user's home, so that nobody's Wireshark is touched. */
let home: string;

beforeAll(async () => {
  pair = await createOverlayPair(scope);
  home = await temporaryDirectory(scope, 'home');
  const [command, ...args] = pair.a.ctlCommand('extcap', 'install');
  const installed = await pair.a.host.namespace.exec(command, args, { env: environment() });
  expect(installed).toContain(`installed ${home}/`);
});

const environment = () => ({ HOME: home, XDG_CONFIG_HOME: join(home, '.config') });

async function tshark(...args: string[]): Promise<ExecResult> {
  return await pair.a.host.namespace.tryExec('tshark', args, { env: environment() });
}

/** A capture in tshark, once it runs. */
async function capturing(...args: string[]): Promise<Child> {
  const child = await pair.a.host.namespace.spawn(testScope(), {
    command: 'tshark',
    args,
    env: environment(),
  });
  await child.waitForLine(/Capture started/);
  return child;
}

/** Pings until the capture has what it wants. */
async function pingUntilEnd(child: Child): Promise<void> {
  while (child.running) await expectPing(pair.c1, { to: '10.0.0.2', count: 2 });
  expect(await child.exited).toEqual({ code: 0, signal: undefined });
  expect(complaintsOf(child.stderr)).toBe('');
}

test('tshark lists networks, ports and VTEPs', async () => {
  const { stdout, stderr } = await tshark('-D');
  expect(complaintsOf(stderr)).toBe('');
  const listed = [...stdout.matchAll(/^\d+\. (vswitchd.*)$/gm)].map(([, line]) => line);
  expect(listed.sort()).toEqual([
    'vswitchd (vswitchd, all networks)',
    'vswitchd-drops (vswitchd, what is dropped)',
    'vswitchd-network-net1 (vswitchd, network net1)',
    'vswitchd-peer-10.200.0.2 (vswitchd, VTEP 10.200.0.2)',
    'vswitchd-port-c1 (vswitchd, port c1 of net1)',
  ]);
});

test('tshark captures a network with a filter', async () => {
  const fields = [
    'icmp.type',
    'ip.src',
    'ip.dst',
    'frame.interface_name',
    'frame.comment',
  ] as const;
  const child = await capturing(
    ...['-i', 'vswitchd-network-net1', '-f', 'icmp[icmptype] == icmp-echo', '-c', '5', '-n'],
    ...fieldArguments(fields),
  );
  await pingUntilEnd(child);
  const rows = rowsOf(child.stdout, fields);
  expect(rows).toHaveLength(5);
  for (const row of rows) {
    expect(row).toMatchObject({ 'icmp.type': '8', 'ip.src': '10.0.0.1', 'ip.dst': '10.0.0.2' });
    expect(row['frame.interface_name']).toContain('net1/c1');
    expect(row['frame.comment']).toContain('10.200.0.2');
  }
});

test('options of the interface say what of it is captured, here frames and datagrams', async () => {
  const file = join(home, 'both.pcapng');
  const child = await capturing(
    ...['-i', 'vswitchd-port-c1', '-f', 'icmp', '-c', '8', '-w', file],
    ...['-o', 'extcap.vswitchd_port_c1.side:both'],
  );
  await pingUntilEnd(child);
  await expectFlawless(file);
  const rows = await readCapture(file, ['vxlan.vni', 'frame.packet_id']);
  expect(rows.some((row) => row['vxlan.vni'] === '256')).toBe(true);
  expect(rows.some((row) => row['vxlan.vni'] === '')).toBe(true);
});

test('tshark shows what is refused, at once', async () => {
  const { exitCode, stderr } = await tshark('-i', 'vswitchd-network-net1', '-f', 'tcp prot 80');
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain('cannot capture with the filter');
});

test('a filter is checked without capturing', async () => {
  const about = ['--extcap-interface', 'vswitchd', '--extcap-capture-filter'];
  expect(await pair.a.tryCtl('extcap', ...about, 'tcp port 80')).toMatchObject({
    ...{ exitCode: 0, stdout: '' },
  });
  expect(await pair.a.tryCtl('extcap', ...about, 'tcp prot 80')).toMatchObject({
    ...{ exitCode: 0, stdout: expect.stringContaining('cannot capture with the filter') },
  });
  expect(await pair.a.ctl('capture', '--list')).toEqual([]);
});

test('when tshark ends, the capture does', async () => {
  const child = await capturing('-i', 'vswitchd', '-w', join(home, 'all.pcapng'));
  await expectPing(pair.c1, { to: '10.0.0.2' });
  expect((await child.stop('SIGINT')).code).toBe(0);
  await expectFlawless(join(home, 'all.pcapng'));
  await expect.poll(() => pair.a.ctl('capture', '--list')).toEqual([]);
});
