/**
 * What is left undone in frames between containers of one host, and what containers are offered to leave undone.
 *
 *   c1, c2 ── vswitchd (host one)
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { internetChecksum } from '../support/frames.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
let c1: Container;
let c2: Container;

beforeAll(async () => {
  const [one] = (await createUnderlay(scope, { hosts: ['one'] })).hosts as [Host];
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  await Vswitchd.start(scope, one, {
    networks: [{ name: 'net', vni: 256, ports: [portOf(c1), portOf(c2)] }],
  });
});

test('[H134] between two containers of one host a partial checksum stays partial', async () => {
  const capture = await Capture.start(testScope(), c2, `udp and ether dst ${c2.mac}`);
  await expectUdpEcho({ from: c1, to: c2, family: 4 }, { flows: 2, count: 2, size: 700 });
  const frames = await capture.waitFor(4, () => true);
  for (const frame of frames) {
    expect(frame.readUInt16BE(UDP + 6)).toBe(pseudoHeaderSum(frame.subarray(UDP - 20)));
  }
});

test('[H134] and TCP keeps every byte', async () => {
  await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
  await expectTransfer({ from: c2, to: c1, family: 6, bytes: 2_000_000 });
});

// SCTP's CRC32c, UDP fragmentation, segmentation inside tunnels: the sender's kernel does what is not offered.
test('[H145] [H146] [H151] containers are offered the checksums and segmentations that we do, no others', async () => {
  const output = await c1.namespace.exec('ethtool', ['-k', c1.ifname]);
  const on = [...output.matchAll(/^\s+(tx-\S*(?:checksum|segmentation)\S*): on/gm)].map(
    (m) => m[1],
  );
  const ours = [
    'tx-checksum-ip-generic',
    'tx-tcp-segmentation',
    'tx-tcp-ecn-segmentation',
    'tx-tcp6-segmentation',
    'tx-udp-segmentation',
  ];
  expect(on).toEqual(expect.arrayContaining(ours.filter((name) => name !== 'tx-udp-segmentation')));
  expect(on.filter((name) => !ours.includes(name ?? ''))).toEqual([]);
  expect(output).toMatch(/tx-checksum-sctp: off/);
});

/** Of the UDP datagram in an IPv4 packet without options, not complemented (RFC 768). */
function pseudoHeaderSum(packet: Buffer): number {
  const addresses = packet.subarray(12, 20);
  const rest = Buffer.from([0, 17, packet[24] ?? 0, packet[25] ?? 0]);
  return ~internetChecksum(Buffer.concat([addresses, rest])) & 0xffff;
}

/** Where UDP begins behind Ethernet and IPv4. */
const UDP = 34;
