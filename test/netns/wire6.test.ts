/**
 * What we put on an IPv6 wire, as tshark's VXLAN dissector sees it at host two, which has no overlay end.
 *
 *   c1 ── vswitchd (host one, fd00:200::1) ══ underlay ══ capture (host two)
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST } from '../support/frames.js';
import { isMarked, markedFrame } from '../support/marked.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

/** Outer Ethernet, IPv6, UDP and VXLAN headers. */
const ENCAPSULATION = 14 + 40 + 8 + 8;
const scope = fileScope();
let two: Host;
let c1: Container;

beforeAll(async () => {
  // `wire`: the checksum is filled in when it is captured.
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'], offload: 'wire' });
  const [one] = hosts as [Host];
  two = hosts[1] as Host;
  await one.namespace.ip(`address add fd00:200::101/64 dev ${UNDERLAY_IFNAME} nodad`);
  c1 = await createContainer(scope, 'c1', 1);
  await Vswitchd.start(scope, one, {
    family: 6,
    networks: [{ name: 'net', vni: 256, peers: [two.address[6]], ports: [portOf(c1)] }],
  });
});

test('[E77] [E79] [E90] [E99] header bytes, ports, checksum, hop limit and source are as promised', async () => {
  const where = { namespace: two.namespace, ifname: UNDERLAY_IFNAME };
  const capture = await Capture.start(testScope(), where, 'udp and dst port 4789');
  await sendFrames(c1, [markedFrame(BROADCAST, c1.mac, 'over IPv6')]);
  const [found] = await capture.waitFor(1, (frame) => isMarked(frame.subarray(ENCAPSULATION)));
  expect(found?.subarray(62, 70).toString('hex')).toBe('0800000000010000');
  const fields = ['ipv6.src', 'ipv6.dst', 'ipv6.hlim', 'udp.srcport', 'udp.checksum'] as const;
  const packets = await capture.decode([...fields, 'udp.checksum.status'], 'vxlan');
  expect(packets.length).toBeGreaterThan(0);
  for (const packet of packets) {
    expect(packet).toMatchObject({
      'ipv6.src': 'fd00:200::1',
      'ipv6.dst': 'fd00:200::2',
      'ipv6.hlim': '64',
      'udp.checksum.status': '1',
    });
    expect(packet['udp.checksum']).not.toBe('0x0000');
    expect(Number(packet['udp.srcport'])).toBeGreaterThanOrEqual(49152);
  }
});

test('the MTU of a port is the underlay minus 70 bytes', async () => {
  const [link] = await c1.namespace.ipJson<{ mtu: number }[]>('link', 'show', c1.ifname);
  expect(link?.mtu).toBe(1430);
});
