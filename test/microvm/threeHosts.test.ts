/**
 * Three hosts in one virtual machine whose kernel has no vxlan: an overlay of vswitchds alone, over a routed underlay
 * of veth pairs.
 *
 *   c1, d1 ── vswitchd h1 ── und0 ┐             c: net1, VNI 256, 10.0.0.N
 *   c2, d2 ── vswitchd h2 ── und0 ┼─ router     d: net2, VNI 257, the same subnet
 *   c3     ── vswitchd h3 ── und0 ┘             every name but `vswitchd` is a network namespace
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { GuestVswitchd } from '../support/guestVswitchd.js';
import { Microvm } from '../support/microvm.js';
import { fileScope } from '../support/testScope.js';
import { expectSameSum, guestContainer, proveNoVxlan, startSumServer } from './guest.js';

const scope = fileScope();
const hosts = [1, 2, 3].map((n) => ({ name: `h${n}`, address: `10.201.${n}.1`, n }));
const c = [1, 2, 3].map((n) => guestContainer(`c${n}`, n));
const d = [guestContainer('d1', 1), guestContainer('d2', 12)];
const namespaces = [...hosts, ...c, ...d].map(({ name }) => name).concat('router');
/** Three programs start in one emulated machine. */
const SETUP_MS = 300_000;
let guest: Microvm;
let switches: readonly GuestVswitchd[];

beforeAll(async () => {
  guest = await Microvm.boot(scope, { name: 'three-hosts', modules: ['veth', 'tun'] });
  await proveNoVxlan(guest);
  await guest.run(`set -e
    for name in ${namespaces.join(' ')}; do
      ip netns add $name
      ip -n $name link set dev lo up
      ip netns exec $name sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
        echo 0 >/proc/sys/net/ipv4/icmp_echo_ignore_broadcasts'
    done
    ip netns exec router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'`);
  for (const { name, n, address } of hosts) {
    const toRouter = `
      link add name ${name} type veth peer name und0 netns ${name}
      address add 10.201.${n}.254/24 dev ${name}
      link set dev ${name} up`;
    const toHost = `
      address add ${address}/24 dev und0
      link set dev und0 up
      route add default via 10.201.${n}.254`;
    await guest.ip(toRouter, 'router');
    await guest.ip(toHost, name);
  }
  const networks = (n: number) => [
    { name: 'net1', vni: 256, peers: others(n), ports: [c[n - 1]!.port] },
    { name: 'net2', vni: 257, peers: others(n), ports: d[n - 1] ? [d[n - 1]!.port] : [] },
  ];
  switches = await Promise.all(
    hosts.map(({ name, n, address }) =>
      GuestVswitchd.start(guest, { name, namespace: name, address, networks: networks(n) }),
    ),
  );
}, SETUP_MS);

describe('on a kernel without vxlan', () => {
  it.each([
    ['IPv4', 'v4'],
    ['IPv6', 'v6'],
  ] as const)('containers of three hosts reach each other by %s', async (family, address) => {
    for (const from of c) {
      for (const to of c.filter((other) => other !== from)) {
        await guest.run(`ip netns exec ${from.name} ping -n -c 3 -i 0.2 -w 20 ${to[address]}`);
      }
    }
    await guest.evidence(`${family}: 6 of 6 pairs of c1, c2, c3 answer each other's pings`);
  });

  it('broadcast and multicast reach all hosts, each once', async () => {
    const broadcast = await guest.run(
      'ip netns exec c1 ping -n -b -i 60 -w 5 10.0.0.255; ip netns exec c1 ping -n -i 60 -w 5 ff02::1%eth0',
    );
    await guest.evidence(broadcast);
    const from = (address: string) => broadcast.split(` from ${address}`).length - 1;
    for (const other of [c[1]!, c[2]!]) {
      expect(from(`${other.v4}:`), other.name).toBe(1);
      expect(from(`${other.linkLocal}%eth0:`), other.name).toBe(1);
    }
  });

  it('networks with the same addresses do not see each other', async () => {
    await guest.run(`ip netns exec d1 ping -n -c 3 -i 0.2 -w 20 ${d[1]!.v4}`);
    for (const [from, to] of [
      ['c1', d[1]!.v4],
      ['d1', c[1]!.v4],
    ]) {
      const { code, stdout } = await guest.try(`ip netns exec ${from} ping -n -c 2 -W 1 ${to}`);
      expect(stdout).toContain('2 packets transmitted, 0 received');
      expect(code).toBe(1);
    }
    await guest.evidence(
      'net1 and net2 both have 10.0.0.0/24; nothing passes from one to the other',
    );
  });

  it('the largest packet passes whole, and a larger one is refused where it starts', async () => {
    const ping = (size: number) =>
      guest.try(`ip netns exec c1 ping -n -M do -s ${size} -c 3 -i 0.2 -w 20 ${c[2]!.v4} 2>&1`);
    expect(await ping(1450 - 28)).toMatchObject({ code: 0 });
    const { code, stdout } = await ping(1450 - 28 + 1);
    expect(stdout).toContain('message too long');
    expect(code).not.toBe(0);
    await guest.evidence('1450 bytes of IP, not fragmented, pass between c1 and c3; 1451 do not');
  });

  it.each([
    ['to', ''],
    ['from', '-R'],
  ])('TCP flows %s another host', async (_, direction) => {
    const script = `
      ip netns exec c2 iperf3 -s -1 -D -I /run/iperf3.pid
      until ip netns exec c2 ss -Hltn | grep -q :5201; do :; done
      ip netns exec c1 iperf3 -c ${c[1]!.v4} -n 8M -J ${direction}`;
    const { end } = JSON.parse(await guest.run(script));
    // What is still on its way at the end the receiver does not report.
    expect(end.sum_sent.bytes).toBeGreaterThanOrEqual(8 << 20);
    expect(end.sum_received.bytes).toBeGreaterThan(1 << 20);
    await guest.evidence(
      `TCP ${direction} c1 -> c2: ${end.sum_received.bytes} bytes, ${end.sum_sent.retransmits} retransmits`,
    );
  });

  it('what arrives by TCP is what was sent', async () => {
    await startSumServer(guest, 'c3');
    const sum = await expectSameSum(guest, 'c1', c[2]!.v4);
    await guest.evidence(`8 MiB c1 -> c3 have there the SHA-256 that they have here: ${sum}`);
  });

  it('everything that can be seen is a TAP, a veth or a UDP socket of vswitchd', async () => {
    for (const name of namespaces) {
      const links = JSON.parse(await guest.run(`ip -n ${name} -d -j link`));
      const kinds = links.map(
        (link: { link_type: string; linkinfo?: { info_kind: string } }) =>
          link.linkinfo?.info_kind ?? link.link_type,
      );
      const expected = namespaces.indexOf(name) < 3 ? ['loopback', 'veth'] : ['loopback', 'tun'];
      expect(new Set(kinds), name).toEqual(
        new Set(name === 'router' ? ['loopback', 'veth'] : expected),
      );
    }
    for (const { name } of hosts) {
      const sockets = (await guest.run(`ip netns exec ${name} ss -Haunp sport = 4789`)).trim();
      const pid = (await guest.run(`cat /run/${name}.pid`)).trim();
      expect(sockets.split('\n')).toHaveLength(1);
      expect(sockets).toContain(`pid=${pid},`);
      await guest.evidence(`${name}, UDP port 4789: ${sockets.replace(/\s+/g, ' ')}`);
    }
  });

  it('operators see what they see elsewhere', async () => {
    await guest.evidence(`vswitchctl status\n${await switches[0]!.ctl('status')}`);
    const fdb = await switches[0]!.ctl('fdb', 'show');
    for (const host of [hosts[1]!, hosts[2]!]) expect(fdb).toContain(host.address);
    await guest.evidence(`vswitchctl fdb show\n${fdb}`);
  });

  it('every frame has left, was consumed, or was dropped with a name', async () => {
    for (const vswitchd of switches) {
      const counters = await vswitchd.balanced();
      const entered = counters.networks.flatMap(({ ports }) => ports.map((p) => p.rx_frames));
      await guest.evidence(
        `${vswitchd.name}: balanced, ${entered.reduce((a, b) => a + b)} frames in`,
      );
    }
  });
});

function others(n: number): string[] {
  return hosts.filter((host) => host.n !== n).map((host) => host.address);
}
