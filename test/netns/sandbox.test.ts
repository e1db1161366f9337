/**
 * TAPs that somebody else moves into sandboxes, as Docker does, under a switch that is killed and started again; and
 * guards at both ports, which real kernels pass.
 *
 *   c1 ── switch (home) ── c2
 */

import { beforeAll, expect, test } from 'vitest';
import type { Counters, PortSpec } from '../../src/datapath/seam.js';
import { desired, network, port } from '../datapath/desired.js';
import type { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import { insideScript } from '../support/inside/index.js';
import { createNamespace, type Namespace } from '../support/netns.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer } from '../support/topology.js';

const scope = fileScope();
let home: Namespace;
let c1: Container;
let c2: Container;
let running: Child;

beforeAll(async () => {
  home = await createNamespace(scope, 'home');
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  running = await startSwitch({ makes: true });
  for (const container of [c1, c2]) await join(container);
});

function portOf({ name, namespace, mac, address }: Container): PortSpec {
  return port(name, {
    kind: 'tap',
    ifname: `vs${name}`,
    mac,
    sandbox: namespace.path,
    guard: { macs: [mac], addresses: [address[4], address[6]] },
  });
}

async function startSwitch({ makes }: { readonly makes: boolean }): Promise<Child> {
  const ports = [c1, c2].map(portOf);
  const state = desired(network('net', 256, { ports }));
  const taps = ports.map(({ name, ifname, mac, mtu }) => ({ port: name, ifname, mac, mtu }));
  const args = [insideScript('switch'), JSON.stringify(state), JSON.stringify(makes ? taps : [])];
  const child = await home.spawn(scope, { command: process.execPath, args });
  await child.waitForLine(/^started$/);
  return child;
}

/** What libnetwork does when a container joins. */
async function join({ name, namespace, ifname, mac, address }: Container): Promise<void> {
  // Duplicate address detection and listener reports are what a kernel says before it has an address.
  await namespace.sysctl({ 'ipv6/conf/default/accept_dad': 1 });
  await home.ip(`link set dev vs${name} netns ${namespace.name}`);
  await namespace.ip(`
    link set dev vs${name} down
    link set dev vs${name} name ${ifname}
    link set dev ${ifname} address ${mac}
    address add ${address[4]}/24 dev ${ifname}
    address add ${address[6]}/64 dev ${ifname}
    link set dev ${ifname} up
  `);
  await eventually('addresses that nobody else has', async () => {
    const shown = await namespace.exec('ip', ['address', 'show', 'dev', ifname]);
    return shown.includes('fe80::') && !shown.includes('tentative');
  });
}

/** The last ones told. */
function portsSeen(): Counters['networks'][number]['ports'] {
  const lines = running.stdout.split('\n').slice(0, -1);
  const last = lines.findLast((line) => line.startsWith('{'));
  return last === undefined ? [] : ((JSON.parse(last) as Counters).networks[0]?.ports ?? []);
}

function dropped(reason: string): number {
  const drops = portsSeen().flatMap((port) => port.drops);
  return drops.filter((drop) => drop.reason === reason).reduce((sum, drop) => sum + drop.frames, 0);
}

test('[M222] [M223] what real kernels say passes a guard', async () => {
  await expectPing(c1, { to: c2.address[4] });
  await expectPing(c1, { to: c2.address[6] });
  for (const family of [4, 6] as const)
    await expectTransfer({ from: c1, to: c2, family, bytes: 1_000_000 });
  await eventually('counters of that', () => portsSeen().every((port) => port.rxBytes > 2_000_000));
  const forged = portsSeen().flatMap(({ drops }) =>
    drops.filter((d) => /spoof|guard/.test(d.reason)),
  );
  expect(forged).toEqual([]);
  expect(portsSeen().map(({ ifname, netns }) => ({ ifname, netns }))).toEqual(
    [c1, c2].map(({ namespace }) => ({ ifname: 'eth0', netns: namespace.path })),
  );
});

test.each([4, 6] as const)('[M223] an IPv%i address of another does not pass', async (family) => {
  const { namespace, ifname } = c1;
  const before = dropped('rx.spoof_ip');
  const forged = { 4: '10.0.0.66', 6: 'fd00:10::66' }[family];
  await namespace.ip(`address add ${forged}/${family === 4 ? 24 : 64} dev ${ifname}`);
  const args = ['-I', forged, '-c', '1', '-W', '1', c2.address[family]];
  expect((await namespace.tryExec('ping', args)).exitCode).not.toBe(0);
  await eventually('a named drop', () => dropped('rx.spoof_ip') > before);
  await namespace.ip(`address del ${forged}/${family === 4 ? 24 : 64} dev ${ifname}`);
  await expectPing(c1, { to: c2.address[family] });
});

test('[O244] a switch that is killed finds its TAPs in their sandboxes, and TCP goes on', async () => {
  const stream = await openStream(testScope(), { from: c1, to: c2, family: 4 });
  const look = () => c1.namespace.exec('ip', ['-o', 'address', 'show', 'dev', c1.ifname]);
  const before = await look();
  running.signal('SIGKILL');
  await running.exited;
  expect(await look()).toEqual(before);
  running = await startSwitch({ makes: false });
  await stream.goesOn();
  await stream.finish();
  expect(await look()).toEqual(before);
});

test('a TAP that is taken home and back again is the same port', async () => {
  const { namespace, ifname, name } = c2;
  await namespace.ip(`
    link set dev ${ifname} down
    link set dev ${ifname} name vs${name}
    link set dev vs${name} netns ${home.name}
  `);
  await eventually('a named drop', async () => {
    await c1.namespace.tryExec('ping', ['-c', '1', '-W', '1', c2.address[4]]);
    return dropped('tx.port_down') > 0;
  });
  const [, seen] = portsSeen();
  expect(seen).toMatchObject({ ifname: `vs${name}`, state: 'up' });
  expect(seen).not.toHaveProperty('netns');
  await join(c2);
  await expectPing(c1, { to: c2.address[4] });
});
