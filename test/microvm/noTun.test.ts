/**
 * Two hosts on a kernel that has neither vxlan nor TAPs: containers are attached by veth pairs, whose ends in the
 * hosts are packet ports.
 *
 *   c1 ── veth ── p-c1, vswitchd h1 ── und0 ══ und0 ── vswitchd h2, p-c2 ── veth ── c2
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { GuestVswitchd } from '../support/guestVswitchd.js';
import { Microvm } from '../support/microvm.js';
import { fileScope } from '../support/testScope.js';
import { expectSameSum, guestContainer, proveNoVxlan, startSumServer } from './guest.js';

const scope = fileScope();
const sides = [1, 2].map((n) => ({
  host: `h${n}`,
  address: `10.201.0.${n}`,
  peer: `10.201.0.${3 - n}`,
  container: guestContainer(`c${n}`, n),
}));
const [c1, c2] = [sides[0]!.container, sides[1]!.container];
const SETUP_MS = 300_000;
let guest: Microvm;
let switches: readonly GuestVswitchd[];

beforeAll(async () => {
  guest = await Microvm.boot(scope, { name: 'no-tun', modules: ['veth'] });
  await proveNoVxlan(guest);
  await guest.run(`set -e
    for name in h1 h2 c1 c2; do
      ip netns add $name
      ip -n $name link set dev lo up
      ip netns exec $name sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'
    done
    ip -n h1 link add name und0 type veth peer name und0 netns h2`);
  for (const { host, address, container } of sides) {
    const { name, v4, v6 } = container;
    await guest.run(
      `ip netns exec ${host} sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6'`,
    );
    const onHost = `
      link add name p-${name} mtu 1450 type veth peer name eth0 mtu 1450 address ${container.port.mac} netns ${name}
      link set dev p-${name} arp off up
      address add ${address}/24 dev und0
      link set dev und0 up`;
    const inContainer = `
      address add ${v4}/24 dev eth0
      address add ${v6}/64 dev eth0
      link set dev eth0 up`;
    await guest.ip(onHost, host);
    await guest.ip(inContainer, name);
  }
  switches = await Promise.all(
    sides.map(({ host, address, peer, container: { name } }) => {
      const ports = [{ name, kind: 'packet', ifname: `p-${name}` }] as const;
      const networks = [{ name: 'net1', vni: 256, peers: [peer], ports: [...ports] }];
      return GuestVswitchd.start(guest, { name: host, namespace: host, address, networks });
    }),
  );
}, SETUP_MS);

describe('on a kernel without vxlan and without TAPs', () => {
  it('no TAP can be made', async () => {
    expect((await guest.try('test -e /dev/net/tun')).code).toBe(1);
    const { code, stderr } = await guest.try('ip tuntap add dev probe mode tap');
    expect(code).not.toBe(0);
    await guest.evidence(`no /dev/net/tun; \`ip tuntap add\`: ${stderr}`);
  });

  it('containers of two hosts reach each other', async () => {
    for (const [from, to] of [
      [c1, c2],
      [c2, c1],
    ]) {
      for (const address of [to!.v4, to!.v6]) {
        await guest.run(`ip netns exec ${from!.name} ping -n -c 5 -i 0.2 -w 20 ${address}`);
        await guest.evidence(`${from!.name} pings ${address} through packet ports: 5 of 5`);
      }
    }
  });

  it('the largest packet passes whole', async () => {
    await guest.run(`ip netns exec c1 ping -n -M do -s ${1450 - 28} -c 3 -i 0.2 -w 20 ${c2.v4}`);
  });

  it('TCP flows, with the superframes and unfilled checksums of veth', async () => {
    const report = await guest.run(`
      ip netns exec c2 iperf3 -s -1 -D
      until ip netns exec c2 ss -Hltn | grep -q :5201; do :; done
      ip netns exec c1 iperf3 -c ${c2.v4} -n 8M -J`);
    const { end } = JSON.parse(report);
    // What is still on its way at the end the receiver does not report.
    expect(end.sum_sent.bytes).toBeGreaterThanOrEqual(8 << 20);
    expect(end.sum_received.bytes).toBeGreaterThan(1 << 20);
    await guest.evidence(`TCP c1 -> c2 through packet ports: ${end.sum_received.bytes} bytes`);
  });

  it('what arrives by TCP is what was sent', async () => {
    await startSumServer(guest, 'c2');
    const sum = await expectSameSum(guest, 'c1', c2.v4);
    await guest.evidence(`8 MiB c1 -> c2 have there the SHA-256 that they have here: ${sum}`);
  });

  it('every frame has left, was consumed, or was dropped with a name', async () => {
    for (const vswitchd of switches) {
      const ports = (await vswitchd.balanced()).networks.flatMap((network) => network.ports);
      expect(ports.filter(({ kind }) => kind === 'packet')).toHaveLength(1);
    }
    await guest.evidence(`vswitchctl status\n${await switches[0]!.ctl('status')}`);
  });

  it('the doctor calls that ready for packet ports', async () => {
    const page = await switches[0]!.ctl('doctor');
    await guest.evidence(`vswitchctl doctor\n${page}`);
    expect(page).toContain('ready for packet ports');
  });
});
