/**
 * What we put on the wire, as tshark's VXLAN dissector sees it at host two, which has no overlay end.
 *
 *   c1 ── vswitchd (host one, defaults)             ┐
 *   c3 ── vswitchd (host three, other settings)     ┴ underlay ── capture (host two)
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { sendFrames } from '../support/forge.js';
import {
  arp,
  BROADCAST,
  ETHERTYPE,
  ethernet,
  ipv4,
  numberedMac,
  PROTOCOL,
  udp,
} from '../support/frames.js';
import { insideScript } from '../support/inside/index.js';
import { markedFrame } from '../support/marked.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const VNI = 0xabcdef;
const TAKEN_PORT = 50_003;
const OTHER_MAC = '02:00:00:00:77:01';
const scope = fileScope();
let two: Host;
let c1: Container;
let c3: Container;
let one: Host;
let first: Vswitchd;
let third: Vswitchd;

beforeAll(async () => {
  // Cut to datagrams with their checksums, as they would be behind a NIC.
  const spec = { hosts: ['one', 'two', 'three'], offload: 'wire' } as const;
  const { hosts } = await createUnderlay(scope, spec);
  const three = hosts[2] as Host;
  [one, two] = hosts as [Host, Host];
  c1 = await createContainer(scope, 'c1', 1);
  c3 = await createContainer(scope, 'c3', 3);
  // [E99]: the first address of the interface, which the kernel would choose, is not the VTEP's.
  await one.namespace.ip(`
    address del ${one.address[4]}/24 dev ${UNDERLAY_IFNAME}
    address add 10.200.0.101/24 dev ${UNDERLAY_IFNAME}
    address add ${one.address[4]}/24 dev ${UNDERLAY_IFNAME}
  `);
  const holder = await three.namespace.spawn(scope, {
    command: process.execPath,
    args: [insideScript('udp'), 'echo', three.address[4], `${TAKEN_PORT}`],
  });
  await holder.waitForLine(/^listening$/);
  const peers = [two.address[4]];
  first = await Vswitchd.start(scope, one, {
    networks: [{ name: 'net', vni: VNI, peers, ports: [portOf(c1)], fdb: [overridden()] }],
  });
  third = await Vswitchd.start(scope, three, {
    vtep: {
      ttl: 'inherit',
      udp_checksum: false,
      source_ports: { min: 50_000, max: 50_007, pool: 7 },
    },
    networks: [
      {
        name: 'net',
        vni: 1,
        port: 4790,
        peers: [{ address: two.address[4], port: 8472, vni: 2 }],
        ports: [portOf(c3)],
      },
    ],
  });
});

function overridden() {
  return { mac: OTHER_MAC, vtep: two.address[4], vni: 77, udp_port: 8472 };
}

const FIELDS = [
  ...(['ip.src', 'ip.dst', 'ip.ttl', 'ip.checksum.status', 'ip.flags.df'] as const),
  ...(['udp.srcport', 'udp.dstport', 'udp.checksum', 'udp.checksum.status', 'udp.length'] as const),
  ...(['vxlan.flags', 'vxlan.vni', 'vxlan.gbp', 'vxlan.reserved8', 'frame.len'] as const),
] as const;

/** Captures at host two while `container` sends the frames; returns the datagrams as dissected. */
async function onTheWire(container: Container, frames: readonly Buffer[]) {
  const where = { namespace: two.namespace, ifname: UNDERLAY_IFNAME };
  const sources = container === c1 ? '10.200.0.1 or src host 10.200.0.101' : '10.200.0.3';
  const capture = await Capture.start(testScope(), where, `udp and ( src host ${sources} )`);
  const marks = new Set(frames.map((frame) => frame.toString('hex')));
  const carriesOurs = (bytes: Buffer) => marks.has(bytes.subarray(ENCAPSULATION).toString('hex'));
  await sendFrames(container, frames);
  const found = await capture.waitFor(frames.length, carriesOurs);
  return { found, decoded: await capture.decode(FIELDS, `eth.type == ${ETHERTYPE.experimental}`) };
}

/** Outer Ethernet, IPv4, UDP and VXLAN headers. */
const ENCAPSULATION = 14 + 20 + 8 + 8;

function inner(ttl: number, ports: { source: number; destination: number }): Buffer {
  const ends = { src: '10.0.0.1', dst: '10.0.0.9' };
  const fields = { sourcePort: ports.source, destinationPort: ports.destination };
  return ethernet(
    { dst: '02:00:00:00:88:01', src: c1.mac },
    ipv4({ ...ends, protocol: PROTOCOL.udp, ttl }, udp(ends, fields, Buffer.from('data'))),
  );
}

test('[E77] [E79] [E88] [E90] [E99] header bytes, ports, checksum, TTL and source are as promised', async () => {
  const { found, decoded } = await onTheWire(c1, [markedFrame(BROADCAST, c1.mac, 'bytes')]);
  expect(found[0]?.subarray(42, 50).toString('hex')).toBe('08000000abcdef00');
  expect(decoded.length).toBeGreaterThan(0);
  for (const packet of decoded) {
    expect(packet).toMatchObject({
      'ip.src': '10.200.0.1',
      'ip.dst': '10.200.0.2',
      'ip.ttl': '64',
      'ip.flags.df': '1',
      'ip.checksum.status': '1',
      'udp.dstport': '4789',
      'udp.checksum.status': '1',
      'vxlan.vni': `${VNI}`,
      'vxlan.flags': '0x0800',
      'vxlan.reserved8': '0',
    });
    expect(packet['udp.checksum']).not.toBe('0x0000');
    expect(Number(packet['udp.srcport'])).toBeGreaterThanOrEqual(49152);
  }
});

test('[E78] [E88] [E80] other UDP port, other VNI, no checksum, other source ports', async () => {
  const { found, decoded } = await onTheWire(c3, [markedFrame(BROADCAST, c3.mac, 'other port')]);
  expect(found[0]?.subarray(42, 50).toString('hex')).toBe('0800000000000200');
  for (const packet of decoded) {
    expect(packet).toMatchObject({ 'udp.dstport': '8472', 'udp.checksum': '0x0000' });
    expect(Number(packet['udp.srcport'])).toBeGreaterThanOrEqual(50_000);
    expect(Number(packet['udp.srcport'])).toBeLessThanOrEqual(50_007);
  }
  const { source_ports: sourcePorts } = (await third.counters()).underlay;
  expect(sourcePorts).toHaveLength(7);
  expect(sourcePorts).not.toContain(TAKEN_PORT);
});

test('[D74] an FDB entry with VNI and port of its own uses them', async () => {
  const { found } = await onTheWire(c1, [markedFrame(OTHER_MAC, c1.mac, 'overridden')]);
  expect(found[0]?.subarray(42, 50).toString('hex')).toBe('0800000000004d00');
  expect(found[0]?.readUInt16BE(36)).toBe(8472);
});

test('[E81] [E82] one flow has one source port; many flows use the whole pool', async () => {
  const flow = { source: 1000, destination: 2000 };
  const same = await onTheWire(
    c1,
    Array.from({ length: 20 }, () => inner(64, flow)),
  );
  expect(portsOf(same.found).size).toBe(1);

  const many = await onTheWire(
    c1,
    Array.from({ length: 200 }, (_, n) => inner(64, { ...flow, source: 2000 + n })),
  );
  const { source_ports: sourcePorts } = (await first.counters()).underlay;
  expect(sourcePorts).toHaveLength(16);
  expect(portsOf(many.found).size).toBeGreaterThanOrEqual(15);
  for (const port of portsOf(many.found)) expect(sourcePorts).toContain(port);
});

test('[E83] all fragments of an inner packet have one source port', async () => {
  const ends = { src: '10.0.0.1', dst: '10.0.0.9' };
  const whole = udp(ends, { sourcePort: 1, destinationPort: 2 }, Buffer.alloc(2000));
  const link = { dst: '02:00:00:00:88:01', src: c1.mac };
  const frames = [0, 1000].map((at) =>
    ethernet(
      link,
      ipv4(
        {
          ...ends,
          protocol: PROTOCOL.udp,
          id: 7,
          fragmentOffset: at,
          moreFragments: at === 0,
        },
        whole.subarray(at, at === 0 ? 1000 : undefined),
      ),
    ),
  );
  const { found } = await onTheWire(c1, frames);
  expect(portsOf(found).size).toBe(1);
});

test('[E86] frames that are not IP have one source port per pair of MACs', async () => {
  const ask = (n: number) =>
    arp({ op: 1, senderMac: c1.mac, senderIp: '10.0.0.1', targetIp: `10.0.9.${n}` });
  const frames = [1, 2, 3].map((n) =>
    ethernet({ dst: BROADCAST, src: c1.mac, type: ETHERTYPE.arp }, ask(n)),
  );
  const { found } = await onTheWire(c1, frames);
  expect(portsOf(found).size).toBe(1);
});

test('[E90] [E92] the outer TTL can be inherited, the inner one stays', async () => {
  const frame = inner(9, { source: 1, destination: 2 });
  const { found } = await onTheWire(c3, [frame]);
  expect(found[0]?.[22]).toBe(9);
});

test('[E94] a frame of 15 bytes is encapsulated as it is', async () => {
  const frame = ethernet(
    { dst: BROADCAST, src: numberedMac(15), type: ETHERTYPE.experimental },
    Buffer.from('x'),
  );
  const { found } = await onTheWire(c1, [frame]);
  expect(found.map((bytes) => bytes.length)).toEqual([ENCAPSULATION + 15]);
});

function portsOf(datagrams: readonly Buffer[]): ReadonlySet<number> {
  return new Set(datagrams.map((bytes) => bytes.readUInt16BE(34)));
}
