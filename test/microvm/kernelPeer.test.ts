/**
 * vswitchd on a kernel without vxlan, and another kernel's own vxlan as its peer.
 *
 *   virtual machine                          this machine, in namespaces of the test's own
 *   c1 ── vswitchd ── eth0 ═══ virtio ═══ und0 ── vx0 ── br0 ── c2        net1, VNI 256
 *   d1 ──────┘                              └──── vx1 ── br1 ── d2        net2, VNI 257
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { GuestVswitchd } from '../support/guestVswitchd.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { Microvm } from '../support/microvm.js';
import { createNamespace } from '../support/netns.js';
import { expectPing } from '../support/ping.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { expectSameSum, guestContainer, proveNoVxlan, SUM_SERVER } from './guest.js';

const scope = fileScope();
const inside = '10.200.0.2';
const c1 = guestContainer('c1', 1);
const d1 = guestContainer('d1', 3);
const networks = [
  { name: 'net1', vni: 256, peers: ['10.200.0.1'], ports: [c1.port] },
  { name: 'net2', vni: 257, peers: ['10.200.0.1'], ports: [d1.port] },
];
const MODULES = ['virtio_pci', 'virtio_net', 'veth', 'tun'];
const SETUP_MS = 300_000;
let guest: Microvm;
let vswitchd: GuestVswitchd;
let outside: Host;
let c2: Container;
let d2: Container;
let capture: Capture;

beforeAll(async () => {
  outside = await createOutside();
  [c2, d2] = [await createContainer(scope, 'c2', 2), await createContainer(scope, 'd2', 4)];
  for (const [index, container] of [c2, d2].entries()) {
    const spec = { vni: 256 + index, peers: [inside], family: 4, index } as const;
    await (await createKernelVxlan(outside, spec)).attach(container);
  }
  const tap = { namespace: outside.namespace, ifname: UNDERLAY_IFNAME };
  capture = await Capture.start(scope, tap, 'udp');
  guest = await Microvm.boot(scope, { name: 'kernel-peer', modules: MODULES, tap });
  await proveNoVxlan(guest);
  await guest.ip(`
    address add ${inside}/24 dev eth0
    link set dev eth0 up
    netns add c1
    netns add d1
  `);
  vswitchd = await GuestVswitchd.start(guest, { name: 'guest', address: inside, networks });
}, SETUP_MS);

describe("between vswitchd without a kernel's vxlan and a kernel's vxlan", () => {
  it('pings pass when the container in the virtual machine begins', async () => {
    for (const to of [c2.address[4], c2.address[6]]) {
      await guest.run(`ip netns exec c1 ping -n -c 5 -i 0.2 -w 20 ${to}`);
      await guest.evidence(`c1 (vswitchd) pings ${to} (kernel vxlan): 5 of 5`);
    }
  });

  it('pings pass when the container outside begins', async () => {
    for (const to of [d1.v4, d1.v6]) {
      await expectPing(d2, { to, count: 5 });
      await guest.evidence(`d2 (kernel vxlan) pings ${to} (vswitchd): 5 of 5`);
    }
  });

  it('the largest packet passes whole', async () => {
    await expectPing(c2, { to: c1.v4, size: 1450 - 28 });
    await expectPing(d2, { to: d1.v6, size: 1450 - 48 });
  });

  it.each([
    ['from the virtual machine', ''],
    ['into the virtual machine', '-R'],
  ])('TCP flows %s', async (_, direction) => {
    const server = await c2.namespace.spawn(testScope(), {
      command: 'iperf3',
      args: ['-s', '-1', '--forceflush'],
    });
    await server.waitForLine(/listening/);
    const report = await guest.run(
      `ip netns exec c1 iperf3 -c ${c2.address[4]} -n 8M -J ${direction}`,
    );
    const { end } = JSON.parse(report);
    // What is still on its way at the end the receiver does not report.
    expect(end.sum_sent.bytes).toBeGreaterThanOrEqual(8 << 20);
    expect(end.sum_received.bytes).toBeGreaterThan(1 << 20);
    await guest.evidence(`TCP ${direction} c1 -> c2: ${end.sum_received.bytes} bytes`);
  });

  it('what arrives by TCP is what was sent', async () => {
    await c2.namespace.spawn(testScope(), { command: 'busybox', args: SUM_SERVER });
    const isListening = () => c2.namespace.exec('ss', ['-Hltn', 'sport = 7000']);
    await eventually('a listener', async () => (await isListening()) !== '');
    const sum = await expectSameSum(guest, 'c1', c2.address[4]);
    await guest.evidence(`8 MiB c1 -> c2 have there the SHA-256 that they have here: ${sum}`);
  });

  it('what is on the wire is VXLAN, as Wireshark sees it', async () => {
    const fields = ['ip.src', 'udp.dstport', 'vxlan.vni', 'icmp.type'] as const;
    const packets = await capture.decode(fields, 'vxlan');
    for (const [vni, from] of [
      ['256', inside],
      ['256', outside.address[4]],
      ['257', inside],
      ['257', outside.address[4]],
    ]) {
      const sent = packets.filter(
        (p) => p['vxlan.vni'] === vni && p['ip.src'].startsWith(`${from}`),
      );
      expect(sent.length, `VNI ${vni} from ${from}`).toBeGreaterThan(10);
      expect(new Set(sent.map((p) => p['udp.dstport']))).toEqual(new Set(['4789']));
      await guest.evidence(
        `tshark: ${sent.length} datagrams of VNI ${vni} from ${from} to port 4789`,
      );
    }
  });

  it('every frame has left, was consumed, or was dropped with a name', async () => {
    await vswitchd.balanced();
    await guest.evidence(`vswitchctl fdb show\n${await vswitchd.ctl('fdb', 'show')}`);
  });
});

/** This machine's end of the cable: a namespace with the TAP that is the guest's network card. */
async function createOutside(): Promise<Host> {
  const namespace = await createNamespace(scope, 'outside');
  await namespace.ip(`
    tuntap add dev ${UNDERLAY_IFNAME} mode tap vnet_hdr
    address add 10.200.0.1/24 dev ${UNDERLAY_IFNAME}
    link set dev ${UNDERLAY_IFNAME} up
  `);
  return { name: 'outside', namespace, address: { 4: '10.200.0.1', 6: 'fd00:200::1' } };
}
