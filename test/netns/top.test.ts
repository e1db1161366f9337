/**
 * `vswitchctl top` in a real terminal, over real traffic.
 *
 *   c1 ── network net1 ┐
 *   c2 ── network net2 ┴ vswitchd (host one) ══ kernel vxlan (host two) ── c3
 *
 * With VSWITCHD_DOCS=1 in its environment it writes what it saw to docs/top.txt.
 */

import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { markedFrame } from '../support/marked.js';
import { expectPing } from '../support/ping.js';
import { fileScope, testScope } from '../support/testScope.js';
import { TmuxPane } from '../support/tmuxPane.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { PROGRAMS, portOf, Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
let vswitchd: Vswitchd;
let one: Host;
let c1: Container;
let c2: Container;
let c3: Container;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
  const [first, two] = hosts as [Host, Host];
  one = first;
  [c1, c2, c3] = (await Promise.all([1, 2, 3].map((n) => createContainer(scope, `c${n}`, n)))) as [
    Container,
    Container,
    Container,
  ];
  const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
  await kernel.attach(c3);
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [
      { name: 'net1', vni: 256, peers: [two.address[4]], ports: [portOf(c1)] },
      { name: 'net2', vni: 257, ports: [portOf(c2)] },
    ],
  });
  await expectPing(c1, { to: c3.address[4] });
  await c3.namespace.spawn(scope, { command: 'iperf3', args: ['-s'] });
  await eventually('iperf3 listens', async () => {
    const listening = await c3.namespace.exec('ss', ['-Hltn', 'sport = 5201']);
    return listening !== '';
  });
  // More than the test needs, and no more than a switch does beside other work.
  const args = ['-c', c3.address[4], '-b', '20M', '-t', '120'];
  await c1.namespace.spawn(scope, { command: 'iperf3', args });
}, 60_000);

async function openTop(env: Readonly<Record<string, string>> = {}): Promise<TmuxPane> {
  const top = `${process.execPath} ${PROGRAMS.vswitchctl} --socket ${vswitchd.socket} top`;
  return await TmuxPane.open(testScope(), one.namespace, {
    ...{ columns: 80, rows: 24, env },
    command: `echo before; ${top}; echo ended with $?; stty -a | grep -o ' icanon'`,
  });
}

async function shows(pane: TmuxPane, what: RegExp): Promise<string> {
  return await eventually(String(what), async () => {
    const text = await pane.text();
    if (what.test(text)) return text;
    throw new Error(text);
  });
}

/** Of a program that has ended and left the terminal as it was. */
async function expectRestored(pane: TmuxPane, code: number): Promise<void> {
  const text = await shows(pane, new RegExp(`^ended with ${code}\\n icanon$`, 'm'));
  expect(text).toContain('before\n');
  expect(text).not.toContain('q quit');
  expect(await pane.property('#{alternate_on} #{cursor_flag}')).toBe('0 1');
}

test('top shows rates, drops and tunnels at 80 by 24, obeys keys, and leaves the terminal as it was', async () => {
  const pane = await openTop();
  const zero = markedFrame(c2.mac, '00:00:00:00:00:00', 'x');
  await sendFrames(c1, [zero, zero, zero]);
  await shows(pane, /^rx\.src_mac_zero +\S+ +3 +net1: The source MAC is all zero\.$/m);
  const text = await shows(pane, /^10\.200\.0\.2:4789 +net1 +[\d.]+k? +\d\S* +[\d.]+M /m);
  expect(text).toMatch(/^vswitchd 10\.200\.0\.1 {2}ok {2}up \d+s {2}workers? .*\d%/);
  expect(text).toMatch(/^c1 +net1 +[\d.]+M +\S+ +\S+ +\S+ +\S+ +\d up$/m);
  expect(text.split('\n')).toHaveLength(24);
  expect(text).toMatch(/\n q quit {3}p pause {3}s sort: in {3}n network: all$/);
  expect(await pane.property('#{alternate_on} #{cursor_flag}')).toBe('1 0');
  if (process.env.VSWITCHD_DOCS !== undefined) {
    await writeFile(fileURLToPath(new URL('../../docs/top.txt', import.meta.url)), `${text}\n`);
  }

  await pane.type('n', 'n');
  const only = await shows(pane, /n network: net2/);
  expect(only).toMatch(/^c2 /m);
  expect(only).not.toMatch(/^c1 /m);
  await pane.type('n', 's', 's', 's');
  expect(await shows(pane, /s sort: name {3}n network: all/)).toMatch(/^c1 .*\nc2 /m);
  await pane.type('p');
  const paused = await shows(pane, /PAUSED/);
  await pane.resize(100, 12);
  const wide = await shows(pane, /^(.*\n){11} q quit/);
  // What stood there was drawn anew for the new size, not read anew.
  expect(wide.split('\n')[1]).toBe(paused.split('\n')[1]);
  await pane.type('q');
  await expectRestored(pane, 0);
});

test('top ends at Ctrl-C as at q, and at SIGTERM, with the terminal as it was', async () => {
  const pane = await openTop({ NO_COLOR: '1' });
  await shows(pane, /q quit/);
  await pane.type('C-c');
  await expectRestored(pane, 0);

  const other = await openTop();
  await shows(other, /q quit/);
  const shell = await other.property('#{pane_pid}');
  const top = await readFile(`/proc/${shell}/task/${shell}/children`, 'utf8');
  process.kill(Number(top), 'SIGTERM');
  await expectRestored(other, 130);
});

test('top stays while vswitchd is restarted, and says so', async () => {
  const pane = await openTop();
  await shows(pane, /^c1 +net1 +[\d.]+M /m);
  await vswitchd.stop();
  await shows(pane, /^no vswitchd answers on /m);
  expect(await pane.text()).toMatch(/^c1 +net1 /m);
  await vswitchd.start();
  await eventually('rates again', async () => {
    const text = await pane.text();
    return !text.includes('no vswitchd answers') && /^c1 +net1 +[\d.]+M /m.test(text);
  });
  await pane.type('q');
  await expectRestored(pane, 0);
});
