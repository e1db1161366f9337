/**
 * The daemon ends and comes back under traffic; what goes away when it is told to.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 */

import { beforeAll, expect, test } from 'vitest';
import { createKernelPair, type KernelPair } from '../support/kernelPair.js';
import { expectPing } from '../support/ping.js';
import { openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer } from '../support/topology.js';
import { portArguments } from '../support/vswitchd.js';

const scope = fileScope();
let pair: KernelPair;

beforeAll(async () => {
  pair = await createKernelPair(scope);
  await expectPing(pair.c1, { to: pair.c2.address[4] });
  await pair.c1.namespace.ip(`route add 172.30.0.0/16 via ${pair.c2.address[4]} dev eth0`);
});

/** Everything of a container's interface that must outlive the daemon. */
async function networkOf({ namespace, ifname }: Container) {
  interface Link {
    ifindex: number;
    address: string;
    mtu: number;
    flags: string[];
    addr_info: { local: string; prefixlen: number }[];
  }
  const [link] = await namespace.ipJson<Link[]>('address', 'show', 'dev', ifname);
  const routes = await namespace.ipJson<{ dst: string; gateway?: string }[]>('route', 'show');
  return {
    ifindex: link?.ifindex,
    mac: link?.address,
    mtu: link?.mtu,
    up: link?.flags.includes('UP'),
    addresses: link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    routes: routes.map(({ dst, gateway }) => `${dst} ${gateway ?? ''}`),
  };
}

async function hasInterface({ namespace, ifname }: Container): Promise<boolean> {
  return (await namespace.tryExec('ip', ['link', 'show', ifname])).exitCode === 0;
}

test.each([
  { end: 'SIGTERM', stop: () => pair.vswitchd.stop() },
  { end: 'SIGKILL', stop: () => pair.vswitchd.kill() },
])(
  '$end leaves the TAP with its addresses and routes, and TCP goes on after a restart',
  async ({ stop }) => {
    const { c1, c2, vswitchd } = pair;
    const stream = await openStream(testScope(), { from: c1, to: c2, family: 4 });
    const before = await networkOf(c1);
    await stop();
    expect(await networkOf(c1)).toEqual(before);
    await vswitchd.start();
    expect(await networkOf(c1)).toEqual(before);
    await stream.goesOn();
    await stream.finish();
  },
);

test('SIGTERM ends with exit code 0', async () => {
  expect(await pair.vswitchd.stop()).toMatchObject({ code: 0 });
  await pair.vswitchd.start();
});

test('what was added through the API is there after a restart, and port rm takes the TAP away', async () => {
  const { c1, vswitchd } = pair;
  const c3 = await createContainer(testScope(), 'c3', 3);
  await vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
  await expectPing(c3, { to: c1.address[4] });
  const before = await networkOf(c3);
  await vswitchd.stop();
  await vswitchd.start();
  expect(await networkOf(c3)).toEqual(before);
  await expectPing(c3, { to: c1.address[4] });
  await vswitchd.ctl('port', 'rm', 'c3');
  expect(await hasInterface(c3)).toBe(false);
  expect(await hasInterface(c1)).toBe(true);
});

test('network rm takes its TAPs away', async () => {
  const { vswitchd } = pair;
  const c4 = await createContainer(testScope(), 'c4', 4);
  await vswitchd.ctl('network', 'add', 'extra', '--vni', '400', '--peer', pair.two.address[4]);
  await vswitchd.ctl('port', 'add', 'extra', ...portArguments(c4));
  expect(await hasInterface(c4)).toBe(true);
  await vswitchd.ctl('network', 'rm', 'extra');
  expect(await hasInterface(c4)).toBe(false);
});

test('purge leaves nothing, and reload brings the file back', async () => {
  const { c1, c2, vswitchd, network } = pair;
  await vswitchd.ctl('purge');
  expect(await hasInterface(c1)).toBe(false);
  expect(await vswitchd.fdb()).toEqual([]);
  await vswitchd.reload([network]);
  await expectPing(c1, { to: c2.address[4] });
});
