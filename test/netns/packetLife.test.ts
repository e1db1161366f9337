/**
 * What befalls the interfaces of packet ports, and what is left alone of them.
 *
 *   c1 ── veth, packet port ┐
 *   c2 ── veth, packet port ┴ vswitchd
 */

import { beforeAll, describe, expect, test } from 'vitest';
import type { PortView } from '../../src/control/client.js';
import { eventually } from '../support/eventually.js';
import { injectFault } from '../support/fault.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST } from '../support/frames.js';
import { markedFrame } from '../support/marked.js';
import { createNamespace } from '../support/netns.js';
import { packetPortOf, silence } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { fileScope } from '../support/testScope.js';
import {
  type Container,
  connectContainer,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portArguments, Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
let host: Host;
let c1: Container;
let c2: Container;
let vswitchd: Vswitchd;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one'] });
  [host] = hosts as [Host];
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  const ports = [await packetPortOf(host, c1), await packetPortOf(host, c2)];
  vswitchd = await Vswitchd.start(scope, host, { networks: [{ name: 'net', vni: 256, ports }] });
});

const port = async (name: string) => {
  const ports = await vswitchd.ctl<PortView[]>('port', 'ls');
  return ports.find((item) => item.name === name);
};

const becomes = (name: string, state: PortView['state']) =>
  eventually(
    `port ${name} is ${state}`,
    async () => {
      const now = await port(name);
      if (now?.state === state) return now;
      throw new Error(JSON.stringify(now));
    },
    { within: 40_000 },
  );

const remake = async () => {
  await connectContainer(host, c1, { peerIfname: 'p-c1', mtu: 1450 });
  await silence(host, 'p-c1');
};

test('an interface that is down takes nothing, and goes on when it is up again', async () => {
  await expectPing(c1, { to: c2.address[4] });
  await host.namespace.ip('link set dev p-c1 down');
  const before = await vswitchd.drops('tx.port_down');
  await eventually('what it does not take is counted', async () => {
    await sendFrames(c2, [markedFrame(BROADCAST, c2.mac, 'to nobody')]);
    return (await vswitchd.drops('tx.port_down')) > before;
  });
  expect((await port('c1'))?.state).toBe('up');
  await host.namespace.ip('link set dev p-c1 up');
  await expectPing(c2, { to: c1.address[4] });
  await vswitchd.balanced();
});

describe('an interface that is no more', () => {
  test.each([
    ['deleted', 'link del dev p-c1'],
    ['deleted while it was down', 'link set dev p-c1 down\nlink del dev p-c1'],
  ])('%s: the port waits, and goes on when there is one of that name', async (_, commands) => {
    await host.namespace.ip(commands);
    expect((await becomes('c1', 'waiting')).reason).toMatch(/p-c1|gone/);
    await remake();
    await becomes('c1', 'up');
    await expectPing(c1, { to: c2.address[4] });
    await vswitchd.balanced();
  });

  test('moved to another namespace: the port waits until it is back', async () => {
    const other = await createNamespace(scope, 'other');
    await host.namespace.ip(`link set dev p-c1 netns ${other.name}`);
    await becomes('c1', 'waiting');
    await other.exec('ip', ['link', 'set', 'dev', 'p-c1', 'netns', host.namespace.name]);
    await host.namespace.ip('link set dev p-c1 up');
    await silence(host, 'p-c1');
    await becomes('c1', 'up');
    await expectPing(c1, { to: c2.address[4] });
  });
});

test('a port whose reads all fail keeps nobody waiting', async () => {
  const taps = [await createContainer(scope, 'c5', 5), await createContainer(scope, 'c6', 6)];
  const [c5, c6] = taps as [Container, Container];
  for (const tap of taps) {
    await vswitchd.ctl('port', 'add', 'net', ...portArguments(tap));
  }
  await expectPing(c5, { to: c6.address[4] });
  const calls = ['recvmsg', 'recvmmsg'];
  const strace = await injectFault(scope, vswitchd.pid, { calls, errno: 'EINVAL' });
  await sendFrames(c1, [markedFrame(BROADCAST, c1.mac, 'never read')]);
  await eventually('reads fail', () => strace.stderr.includes('(INJECTED)'));
  await expectPing(c5, { to: c6.address[4], count: 1 });
  await strace.stop('SIGINT');
  await expectPing(c1, { to: c2.address[4] });
  expect(await vswitchd.drops('rx.offload_unknown')).toBeGreaterThan(0);
  await vswitchd.balanced();
});

test('a frame that is longer than the MTU of the interface is dropped by name', async () => {
  await host.namespace.ip('link set dev p-c2 mtu 1000');
  const before = await vswitchd.drops('tx.port_mtu');
  await sendFrames(c1, [markedFrame(BROADCAST, c1.mac, 'x'.repeat(1200))]);
  await eventually('dropped', async () => (await vswitchd.drops('tx.port_mtu')) > before);
  await host.namespace.ip('link set dev p-c2 mtu 1450');
});

describe('with vswitchctl', () => {
  const add = (...args: string[]) =>
    vswitchd.tryCtl('port', 'add', 'net', '--kind', 'packet', ...args);

  test('an interface is taken as it is, and is left as it was', async () => {
    const c3 = await createContainer(scope, 'c3', 3);
    const elsewhere = await createNamespace(scope, 'elsewhere');
    const place = { name: 'elsewhere', namespace: elsewhere, address: host.address };
    await packetPortOf(place, c3);
    const look = () => elsewhere.ipJson('link', 'show', 'dev', 'p-c3');
    const before = await look();
    const added = await add('--ifname', 'p-c3', '--netns', elsewhere.name);
    expect(added.stdout).toBe('added port p-c3 to network net');
    expect(await port('p-c3')).toMatchObject({ kind: 'packet', ifname: 'p-c3', state: 'up' });
    expect(await look()).toMatchObject([{ promiscuity: 1 }]);
    await expectPing(c3, { to: c2.address[4] });
    const removed = await vswitchd.tryCtl('port', 'rm', 'p-c3');
    expect(removed.stdout).toBe('removed port p-c3');
    expect(await look()).toEqual(before);
  });

  test('there must be an interface of that name, with Ethernet frames', async () => {
    expect((await add('--ifname', 'none')).stderr).toMatch(/there is no interface of that name/);
    expect((await add('--ifname', 'lo')).stderr).toMatch(/no Ethernet/);
    expect((await add('--ifname', UNDERLAY_IFNAME)).stderr).toMatch(/carry themselves/);
    expect((await add()).stderr).toMatch(/needs the interface of a packet port/);
    expect((await add('--ifname', 'p-c1', '--name', 'again')).stderr).toMatch(
      /an interface name of its own/,
    );
  });

  test('datagrams of the VTEP must not pass it, wherever its address is', async () => {
    const own = host.namespace.name;
    const byName = await add('--ifname', UNDERLAY_IFNAME, '--netns', own);
    expect(byName.stderr).toMatch(/carry themselves/);
    const byPid = `/proc/${vswitchd.pid}/ns/net`;
    expect((await add('--ifname', UNDERLAY_IFNAME, '--netns', byPid)).stderr).toMatch(
      /carry themselves/,
    );
    // A bridge that has the address too, its member, and what is at the other end of that.
    await host.namespace.ip(`
      link add name bridge0 type bridge
      link add name member0 type veth peer name far0
      link set dev member0 master bridge0
      address add ${host.address[4]}/32 dev bridge0
    `);
    for (const ifname of ['bridge0', 'member0', 'far0']) {
      expect((await add('--ifname', ifname)).stderr).toMatch(/carry themselves/);
    }
    await host.namespace.ip('link del dev bridge0\nlink del dev member0');
  });

  test('one interface is one port, however its namespace is named', async () => {
    const again = await add('--ifname', 'p-c1', '--name', 'again', '--netns', host.namespace.name);
    expect(again.stderr).toMatch(/it is the interface of port c1/);
    expect(await port('again')).toBeUndefined();
  });

  test('addresses are told, not set: of which station they are must be said', async () => {
    const refused = await add('--ifname', 'p-c1', '--address', '10.0.0.9/24');
    expect(refused.stderr).toMatch(/needs the MAC of the station/);
  });
});
