/**
 * Packets that are too big: for a path that is narrower than the host's own link, for the port, for a link whose MTU
 * changes; and what containers are told.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 *                                        ══ router ═ a narrow link ═ kernel vxlan (host far) ── c3
 */

import { beforeAll, describe, expect, test } from 'vitest';
import type { NetworkView } from '../../src/control/views.js';
import { notes } from '../support/balance.js';
import { eventually } from '../support/eventually.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { connect, createNamespace, type Namespace } from '../support/netns.js';
import { expectPing, ping } from '../support/ping.js';
import type { Scope } from '../support/scope.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Family,
  type Host,
  overhead,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const IP_AND_ICMP = { 4: 28, 6: 48 } as const;

/** Pings with DF and returns the MTU that the sender was told, if it got no answer. */
async function toldMtu(from: Container, to: Container, family: Family, packet: number) {
  const size = packet - IP_AND_ICMP[family];
  const { received, output } = await ping(from, { to: to.address[family], size, count: 20 });
  expect(received, output).toBe(0);
  const told = [...output.matchAll(/mtu ?[=:] ?(\d+)/gi)].map((match) => Number(match[1]));
  expect(told.length, output).toBeGreaterThan(0);
  return new Set(told);
}

describe.each([
  { family: 4, narrow: 1300 },
  { family: 6, narrow: 1400 },
] as const)('a path of $narrow bytes over IPv$family', ({ family, narrow }) => {
  const scope = fileScope();
  const fits = narrow - overhead(family);
  const usual = 1500 - overhead(family);
  let c1: Container;
  let c2: Container;
  let c3: Container;
  let far: Host;
  let two: Host;
  let vswitchd: Vswitchd;

  beforeAll(async () => {
    const { hosts, wire } = await createUnderlay(scope, { hosts: ['one', 'two'] });
    const [one, other] = hosts as [Host, Host];
    two = other;
    const router = await createRouter(scope, wire);
    far = await createFarHost(scope, router);
    for (const host of hosts) await host.namespace.ip(ROUTES);
    c1 = await createContainer(scope, 'c1', 1);
    c2 = await createContainer(scope, 'c2', 2);
    c3 = await createContainer(scope, 'c3', 3);
    const peers = [one.address[family]];
    await (await createKernelVxlan(two, { vni: 256, family, peers })).attach(c2);
    await (await createKernelVxlan(far, { vni: 256, family, peers })).attach(c3);
    vswitchd = await Vswitchd.start(scope, one, {
      family,
      networks: [
        {
          name: 'net',
          vni: 256,
          peers: [two.address[family], far.address[family]],
          ports: [portOf(c1)],
        },
      ],
    });
    await expectPing(c1, { to: c3.address[4] });
    await expectPing(c1, { to: c2.address[4] });
    await router.ip(`link set dev narrow mtu ${narrow}`);
  });

  const pathMtu = async (host: Host) => {
    const { peers } = await vswitchd.ctl<NetworkView>('network', 'show', 'net');
    return peers.find((peer) => peer.address === host.address[family])?.path_mtu;
  };

  test('[G115] [G122] what the network says of a path, the container is told', async () => {
    expect([await pathMtu(far), await pathMtu(two)]).toEqual([1500, 1500]);
    expect(await toldMtu(c1, c3, 4, usual)).toEqual(new Set([fits]));
    expect([await pathMtu(far), await pathMtu(two)]).toEqual([narrow, 1500]);
    const counters = await vswitchd.counters();
    expect(notes(counters, 'vtep.pmtu_change')).toBe(1);
    expect(notes(counters, 'icmp.ptb_sent')).toBeGreaterThan(0);
    expect(await vswitchd.drops('tx.too_big')).toBeGreaterThan(0);
    expect(vswitchd.log).toContain('the path to a VTEP carries another size of packets');
    await vswitchd.balanced();
  });

  test('[G130] what just fits passes, a byte more does not; the other VTEP is as before', async () => {
    await expectPing(c1, { to: c3.address[4], size: fits - 28 });
    expect(await toldMtu(c1, c3, 4, fits + 1)).toEqual(new Set([fits]));
    await expectPing(c1, { to: c2.address[4], size: usual - 28 });
  });

  test('[G116] over IPv6 likewise, but never less than 1280', async () => {
    expect(await toldMtu(c1, c3, 6, usual)).toEqual(new Set([Math.max(fits, 1280)]));
    expect(notes(await vswitchd.counters(), 'icmp.ptb6_sent')).toBeGreaterThan(0);
  });

  test('[G127] TCP goes through, also what is sent in superframes', async () => {
    // The container forgets what it was told.
    await c1.namespace.ip('route flush cache');
    const told = notes(await vswitchd.counters(), 'icmp.ptb_sent');
    await expectTransfer({ from: c1, to: c3, family: 4, bytes: 2_000_000 });
    // The kernel at the other end offered its full MSS, so the first superframes were too big.
    expect(notes(await vswitchd.counters(), 'icmp.ptb_sent')).toBeGreaterThan(told);
    await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
    expect(notes(await vswitchd.counters(), 'mss.clamped')).toBeGreaterThan(0);
    await vswitchd.balanced();
  });
});

test('[G128] [G129] [G131] the port', async () => {
  const scope = testScope();
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'], mtu: 9000 });
  const [one, two] = hosts as [Host, Host];
  const [c1, c2] = [await createContainer(scope, 'c1', 1), await createContainer(scope, 'c2', 2)];
  const start = (host: Host, peer: Host, container: Container) =>
    Vswitchd.start(scope, host, {
      networks: [{ name: 'net', vni: 256, peers: [peer.address[4]], ports: [portOf(container)] }],
    });
  const vswitchd = await start(one, two, c1);
  await start(two, one, c2);
  const tapMtu = async () => {
    const [link] = await c1.namespace.ipJson<{ mtu: number }[]>('link', 'show', c1.ifname);
    return link?.mtu;
  };

  // A jumbo underlay carries jumbo packets whole.
  expect(await tapMtu()).toBe(8950);
  await expectPing(c1, { to: c2.address[4], size: 8950 - 28 });
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });

  // Whoever raises the MTU inside the container is told by the switch.
  await c1.namespace.ip(`link set dev ${c1.ifname} mtu 9500`);
  expect(await toldMtu(c1, c2, 4, 8951)).toEqual(new Set([8950]));
  expect(await toldMtu(c1, c2, 6, 8951)).toEqual(new Set([8950]));
  expect(await vswitchd.drops('rx.port_oversize')).toBeGreaterThanOrEqual(2);
  await expectPing(c1, { to: c2.address[4], size: 8950 - 28 });

  // The underlay's link gets another MTU, and with it the port.
  await one.namespace.ip(`link set dev ${UNDERLAY_IFNAME} mtu 1500`);
  await eventually('the port follows', async () => (await tapMtu()) === 1450, { within: 15_000 });
  await expectPing(c1, { to: c2.address[4], size: 1422 });
  expect((await vswitchd.ctl<{ underlay_mtu: number }>('status')).underlay_mtu).toBe(1500);
  await vswitchd.balanced();
});

test('[G113] [G114] nothing is fragmented, unless that is allowed', async () => {
  const scope = testScope();
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
  const [one, two] = hosts as [Host, Host];
  const [c1, c2] = [await createContainer(scope, 'c1', 1), await createContainer(scope, 'c2', 2)];
  type Ends = { readonly host: Host; readonly peer: Host; readonly container: Container };
  const start = ({ host, peer, container }: Ends, allowed: boolean, socket?: string) =>
    Vswitchd.start(scope, host, {
      ...(socket !== undefined && { socket }),
      ...(allowed && { vtep: { allow_outer_fragmentation: true } }),
      networks: [
        {
          name: 'net',
          vni: 256,
          peers: [peer.address[4]],
          ports: [{ ...portOf(container), mtu: 1600 }],
        },
      ],
    });
  const strict = await start({ host: one, peer: two, container: c1 }, false);
  const lenient = await start({ host: two, peer: one, container: c2 }, true);
  const warnings = async (of: Vswitchd) =>
    (await of.ctl<{ warnings: string[] }>('status')).warnings.join('\n');
  expect(await warnings(strict)).toContain('its MTU 1600 is more than the 1450');
  expect(await warnings(strict)).not.toContain('fragment');
  expect(await warnings(lenient)).toContain('allow_outer_fragmentation is on');

  const fragments = async (host: Host) => (await host.namespace.snmp()).IpFragCreates ?? 0;
  expect(await toldMtu(c1, c2, 4, 1600)).toEqual(new Set([1450]));
  expect(await fragments(one)).toBe(0);

  await strict.stop();
  const both = await start({ host: one, peer: two, container: c1 }, true, strict.socket);
  await c1.namespace.ip('route flush cache');
  await expectPing(c1, { to: c2.address[4], size: 1572 });
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
  expect(await fragments(one)).toBeGreaterThan(0);
  expect(notes(await both.counters(), 'tx.fragmented')).toBeGreaterThan(0);
  expect(both.log).not.toContain('continues without an offload');
  await both.balanced();
});

const ROUTES = `
  route add 10.201.0.0/24 via 10.200.0.50
  route add fd00:201::/64 via fd00:200::50
`;

/** Between the wire and a link of its own, `narrow`. */
async function createRouter(scope: Scope, wire: Namespace): Promise<Namespace> {
  const router = await createNamespace(scope, 'router');
  await connect(
    { namespace: router, ifname: 'wide', mtu: 1500 },
    { namespace: wire, ifname: 'router' },
  );
  await wire.ip('link set dev router master wire');
  await router.ip(`
    address add 10.200.0.50/24 dev wide
    address add fd00:200::50/64 dev wide nodad
  `);
  await router.sysctl({ 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1 });
  return router;
}

async function createFarHost(scope: Scope, router: Namespace): Promise<Host> {
  const namespace = await createNamespace(scope, 'far');
  await connect(
    { namespace, ifname: UNDERLAY_IFNAME, mtu: 1500 },
    { namespace: router, ifname: 'narrow' },
  );
  await router.ip(`
    address add 10.201.0.1/24 dev narrow
    address add fd00:201::1/64 dev narrow nodad
  `);
  await namespace.ip(`
    address add 10.201.0.2/24 dev ${UNDERLAY_IFNAME}
    address add fd00:201::2/64 dev ${UNDERLAY_IFNAME} nodad
    route add default via 10.201.0.1
    route add default via fd00:201::1
  `);
  return { name: 'far', namespace, address: { 4: '10.201.0.2', 6: 'fd00:201::2' } };
}
