/**
 * The same traffic through a packet ring, and with TCP left whole inside the tunnel, instead of through UDP sockets.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan or vswitchd (host two) ── c2
 */

import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { expectPing } from '../support/ping.js';
import type { Scope } from '../support/scope.js';
import { expectTransfer } from '../support/tcp.js';
import { testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portArguments, Vswitchd } from '../support/vswitchd.js';

type Path = 'ring' | 'tunnel-gso';
const net = { name: 'net', vni: 256 };

interface Pair {
  readonly hosts: readonly [Host, Host];
  readonly containers: readonly [Container, Container];
}

async function pair(scope: Scope, offload: 'whole' | 'wire'): Promise<Pair> {
  const underlay = await createUnderlay(scope, {
    hosts: ['one', 'two'],
    offload,
  });
  const hosts = underlay.hosts as [Host, Host];
  const containers = await Promise.all([
    createContainer(scope, 'c1', 1),
    createContainer(scope, 'c2', 2),
  ]);
  return { hosts, containers };
}

async function attach(
  scope: Scope,
  { host, peer, container }: { host: Host; peer: Host; container: Container },
  underlay: Path,
): Promise<Vswitchd> {
  const vswitchd = await Vswitchd.start(scope, host, {
    networks: [{ ...net, peers: [peer.address[4]] }],
    datapath: { underlay },
  });
  await vswitchd.ctl('port', 'add', 'net', ...portArguments(container));
  return vswitchd;
}

async function expectTraffic([c1, c2]: Pair['containers']): Promise<void> {
  await expectPing(c1, { to: c2.address[4], size: 1422 });
  await expectPing(c2, { to: c1.address[6], size: 1402 });
  for (const family of [4, 6] as const) {
    await expectTransfer({ from: c1, to: c2, family, bytes: 20_000_000 });
    await expectTransfer({ from: c2, to: c1, family, bytes: 20_000_000 });
  }
}

interface Statistics {
  readonly stats64: { readonly tx: { readonly bytes: number } };
}

const path = async (vswitchd: Vswitchd) => (await vswitchd.counters()).underlay.path;

const CASES: { underlay: Path; offload: 'whole' | 'wire'; used: Path }[] = [
  { underlay: 'ring', offload: 'whole', used: 'ring' },
  { underlay: 'ring', offload: 'wire', used: 'ring' },
  { underlay: 'tunnel-gso', offload: 'whole', used: 'tunnel-gso' },
  // The interface would not cut superframes inside a tunnel, so we do.
  { underlay: 'tunnel-gso', offload: 'wire', used: 'ring' },
];

describe('TCP and ping at the MTU, by hash', () => {
  test.each(CASES)('$underlay, $offload, kernel vxlan as peer', async ({ offload, ...given }) => {
    const scope = testScope();
    const { hosts, containers } = await pair(scope, offload);
    const kernel = await createKernelVxlan(hosts[1], {
      vni: 256,
      family: 4,
      peers: [hosts[0].address[4]],
    });
    await kernel.attach(containers[1]);
    const at = { host: hosts[0], peer: hosts[1], container: containers[0] };
    const vswitchd = await attach(scope, at, given.underlay);
    await expectTraffic(containers);
    expect(await path(vswitchd)).toBe(given.used);
    await vswitchd.balanced();
    await vswitchd.stop();
    await expectNothingLeft(hosts[0]);
  });

  test.each(CASES)('$underlay, $offload, itself as peer', async ({ offload, ...given }) => {
    const scope = testScope();
    const { hosts, containers } = await pair(scope, offload);
    const [one, two] = hosts;
    const left = await attach(
      scope,
      { host: one, peer: two, container: containers[0] },
      given.underlay,
    );
    const right = await attach(
      scope,
      { host: two, peer: one, container: containers[1] },
      given.underlay,
    );
    await expectTraffic(containers);
    for (const vswitchd of [left, right]) {
      expect(await path(vswitchd)).toBe(given.used);
      await vswitchd.balanced();
    }
  });
});

test('a route that moves to another interface takes TCP along, and back', async () => {
  const scope = testScope();
  const { hosts, containers } = await pair(scope, 'whole');
  const [one, two] = hosts;
  const spec = { host: one, peer: two, container: containers[0] };
  const left = await attach(scope, spec, 'tunnel-gso');
  const right = await attach(
    scope,
    { host: two, peer: one, container: containers[1] },
    'tunnel-gso',
  );
  const [c1, c2] = containers;
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 });
  await one.namespace.ip(`
    link add name aside type veth peer name aside netns ${two.namespace.name}
    link set dev aside up
  `);
  await two.namespace.ip('link set dev aside up');
  const aside = async () => {
    const [link] = await one.namespace.ipJson<Statistics[]>('-s', 'link', 'show', 'dev', 'aside');
    return link?.stats64.tx.bytes ?? 0;
  };
  await one.namespace.ip(`route add ${two.address[4]}/32 dev aside`);
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 });
  expect(await aside(), 'it went by the new way').toBeGreaterThan(1_000_000);
  await one.namespace.ip(`route del ${two.address[4]}/32 dev aside`);
  const before = await aside();
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 });
  expect((await aside()) - before, 'and by the old one again').toBeLessThan(100_000);
  await left.balanced();
  await right.balanced();
});

test('a ring is given up where the host has IPsec policies, and with its interface', async () => {
  const scope = testScope();
  const { hosts, containers } = await pair(scope, 'whole');
  const [one, two] = hosts;
  const left = await attach(scope, { host: one, peer: two, container: containers[0] }, 'ring');
  const right = await attach(scope, { host: two, peer: one, container: containers[1] }, 'ring');
  const [c1, c2] = containers;
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 });
  // About somebody else, but who knows.
  const policy = 'xfrm policy add src 10.9.9.9/32 dst 10.9.9.8/32 dir in action block';
  await one.namespace.ip(policy);
  await eventually('the ring is given up', async () => (await path(left)) === 'udp');
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 });
  await expectTransfer({ from: c2, to: c1, family: 4, bytes: 1_000_000 });
  await left.balanced();

  expect(await path(right)).toBe('ring');
  await two.namespace.ip(`link del dev ${UNDERLAY_IFNAME}`);
  await eventually('so is the other', async () => (await path(right)) === 'udp');
  await right.balanced();
});

test('after kill -9 nothing is left of it in the host, and datagrams reach sockets again', async () => {
  const scope = testScope();
  const { hosts, containers } = await pair(scope, 'whole');
  const at = { host: hosts[0], peer: hosts[1], container: containers[0] };
  const vswitchd = await attach(scope, at, 'tunnel-gso');
  expect(await path(vswitchd)).toBe('tunnel-gso');
  await vswitchd.kill();
  await expectNothingLeft(hosts[0]);
});

async function expectNothingLeft(host: Host): Promise<void> {
  await eventually('the injector is gone', async () => {
    const links = await host.namespace.exec('ip', ['-o', 'link']);
    return !links.includes('vswtx');
  });
}
