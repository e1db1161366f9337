/**
 * Every drop reason that needs a kernel: what makes it happen, and that it is found by its name in the counters, in
 * what Prometheus reads, and in a capture: as a packet's comment where there is a packet, else in the statistics.
 * All others: `test/datapath/drops.test.ts`.
 *
 *   c1, c2 ── vswitchd (host one) ══ underlay ══ host two
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'undici';
import { expect, test } from 'vitest';
import { AnyCaptureReader } from '../../src/capture/offline/captureReader.js';
import { madeInNamespaces } from '../support/dropReasons.js';
import { eventually } from '../support/eventually.js';
import { type Fault, injectFault } from '../support/fault.js';
import { sendFrames } from '../support/forge.js';
import {
  BROADCAST,
  type EthernetFields,
  ethernet,
  ipv4,
  numberedMac,
  PROTOCOL,
  tcp,
  type UdpFields,
  udp,
  vxlan,
} from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { markedFrame } from '../support/marked.js';
import { connect, type Namespace, temporaryDirectory } from '../support/netns.js';
import { silence } from '../support/packetPort.js';
import { writePcap } from '../support/pcap.js';
import { expectPing } from '../support/ping.js';
import { parseMetrics, seriesValue } from '../support/prometheus.js';
import type { Scope } from '../support/scope.js';
import { sendSuperframe, sendUdpSegments } from '../support/superframe.js';
import { testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { type NetworkConfig, portOf, Vswitchd } from '../support/vswitchd.js';

type Reason = (typeof madeInNamespaces)[number];

interface Bed {
  readonly scope: Scope;
  /** Of the bridge that is the underlay; its ports are called as the hosts. */
  readonly wire: Namespace;
  readonly one: Host;
  readonly two: Host;
  readonly c1: Container;
  readonly c2: Container;
  readonly vswitchd: Vswitchd;
}

interface Producer {
  /** `net` has VNI 256, c1, c2 and host two as its peer, unless given. */
  readonly networks?: readonly NetworkConfig[];
  /** By which way datagrams come and go, if it matters. */
  readonly underlay?: 'udp' | 'ring';
  /** MTU of the underlay; 1500 unless given. */
  readonly mtu?: number;
  /** Before vswitchd starts. */
  prepare?(bed: Omit<Bed, 'vswitchd'>): Promise<unknown>;
  /** Before the capture begins. */
  before?(bed: Bed): Promise<unknown>;
  /** Makes the drop happen; again and again until it was counted. */
  commit(bed: Bed): Promise<unknown>;
  /** There is no packet to show. */
  readonly unseen?: true;
}

const flood = (bed: Bed) => sendFrames(bed.c1, [markedFrame(BROADCAST, bed.c1.mac, 'flood')]);

/** A flood while vswitchd's own system calls fail. */
async function floodWith(bed: Bed, fault: Fault): Promise<void> {
  const strace = await injectFault(bed.scope, bed.vswitchd.pid, fault);
  await flood(bed);
  await eventually('the calls have failed', () => strace.stderr.includes('(INJECTED)'));
  await strace.stop('SIGINT');
}

/** A datagram of host two on the wire, whatever is wrong with it. */
async function onWire(
  bed: Bed,
  packet: Buffer,
  fields: Partial<EthernetFields> = {},
): Promise<void> {
  await sendFrames({ namespace: bed.two.namespace, ifname: UNDERLAY_IFNAME }, [
    ethernet({ ...(await linkTo(bed.one)), ...fields }, packet),
  ]);
}

async function linkTo({ namespace }: Host): Promise<EthernetFields> {
  const [link] = await namespace.ipJson<{ address: string }[]>('link', 'show', UNDERLAY_IFNAME);
  return { dst: link?.address ?? '', src: numberedMac(1) };
}

interface DatagramSpec {
  readonly udp?: Partial<UdpFields>;
  readonly ip?: { readonly checksum?: number; readonly dst?: string };
  readonly vni?: number;
  readonly bytes?: number;
}

function datagram({ one, two }: Pick<Bed, 'one' | 'two'>, spec: DatagramSpec = {}): Buffer {
  const ends = { src: two.address[4], dst: spec.ip?.dst ?? one.address[4] };
  const frame = markedFrame(BROADCAST, numberedMac(9), 'x'.repeat(spec.bytes ?? 9));
  const ports = { sourcePort: 50_000, destinationPort: 4789, ...spec.udp };
  const payload = vxlan({ vni: spec.vni ?? 256 }, frame);
  return ipv4({ ...ends, protocol: PROTOCOL.udp, ...spec.ip }, udp(ends, ports, payload));
}

/** Gives c1 a second interface, `eth1`, whose other end is a packet port. */
async function addPacketPort({ one, c1, vswitchd }: Bed): Promise<void> {
  const end = { namespace: one.namespace, ifname: 'p-c1' };
  await connect({ namespace: c1.namespace, ifname: 'eth1', mtu: 1450 }, end);
  await silence(one, end.ifname);
  await vswitchd.ctl('port', 'add', 'net', '--kind', 'packet', '--ifname', end.ifname);
}

/** Many datagrams while vswitchd stands still. */
async function overwhelm(bed: Bed, packet: Buffer, count: number): Promise<void> {
  const where = { namespace: bed.two.namespace, ifname: UNDERLAY_IFNAME };
  const frame = ethernet(await linkTo(bed.one), packet);
  bed.vswitchd.child.signal('SIGSTOP');
  await sendFrames(where, Array<Buffer>(count).fill(frame));
  bed.vswitchd.child.signal('SIGCONT');
  // The kernel tells of losses with the next that finds room.
  await sendFrames(where, [frame]);
}

const groups = ['239.1.1.1', '239.1.1.2'].map((address, n) => ({
  name: `group${n}`,
  vni: 256 + n,
  group: { address, interface: UNDERLAY_IFNAME },
}));

interface SegmentSpec {
  readonly bytes: number;
  /** Bytes of TCP options; none unless given. */
  readonly options?: number;
  /** What the IP header says, if not the truth. */
  readonly totalLength?: number;
}

/** TCP of c1 to host two's side, before it is cut. */
function segmentOf(bed: Bed, { bytes, options = 0, ...ip }: SegmentSpec): Buffer {
  const ends = { src: bed.c1.address[4], dst: '10.0.0.99' };
  const fields = {
    sourcePort: 1,
    destinationPort: 2,
    options: Buffer.alloc(options, NO_OPERATION),
  };
  const segment = tcp(ends, fields, Buffer.alloc(bytes));
  return ethernet(
    { dst: numberedMac(99), src: bed.c1.mac },
    ipv4({ ...ends, ...ip, protocol: PROTOCOL.tcp, dontFragment: true }, segment),
  );
}

/** TCP option 1, RFC 9293 section 3.2. */
const NO_OPERATION = 1;

/** Of the kernel's own vxlan on host two. */
let far: Container;

const producers: Readonly<Record<Reason, Producer>> = {
  'rx.sock_overflow': {
    commit: async (bed) => {
      // A datagram takes at least 512 bytes of the buffer, which the kernel makes twice as large as asked for.
      const { receive_buffer: buffer } = (await bed.vswitchd.counters()).underlay;
      await overwhelm(bed, datagram(bed), Math.ceil((2 * buffer) / 512));
    },
    unseen: true,
  },
  'rx.ring_overflow': {
    underlay: 'ring',
    commit: (bed) => overwhelm(bed, datagram(bed), 20_000),
    unseen: true,
  },
  'rx.truncated': {
    underlay: 'ring',
    mtu: 9000,
    // The slots of the ring are for what the interface carries when it is opened; what is longer
    // comes by a queue, which is not endless.
    prepare: ({ one }) => one.namespace.ip(`link set dev ${UNDERLAY_IFNAME} mtu 1500`),
    before: ({ one }) => one.namespace.ip(`link set dev ${UNDERLAY_IFNAME} mtu 9000`),
    commit: (bed) => overwhelm(bed, datagram(bed, { bytes: 8000 }), 4000),
  },
  'rx.outer_ip_bad': {
    underlay: 'ring',
    // Behind the bridge, which may look at IP headers too.
    commit: async (bed) =>
      sendFrames({ namespace: bed.wire, ifname: bed.one.name }, [
        ethernet(await linkTo(bed.one), datagram(bed, { ip: { checksum: 0x1234 } })),
      ]),
  },
  'rx.outer_udp_len': {
    underlay: 'ring',
    commit: (bed) => onWire(bed, datagram(bed, { udp: { length: 2000 } })),
  },
  'rx.outer_udp_csum': {
    underlay: 'ring',
    commit: (bed) => onWire(bed, datagram(bed, { udp: { checksum: 0x1234 } })),
  },
  'rx.group_mismatch': {
    networks: groups,
    commit: (bed) =>
      onWire(bed, datagram(bed, { vni: 257, ip: { dst: '239.1.1.1' } }), {
        dst: '01:00:5e:01:01:01',
      }),
  },
  'rx.gro_ambiguous': {
    before: async (bed) => {
      const peers = [bed.one.address[4]];
      const kernel = await createKernelVxlan(bed.two, { vni: 256, family: 4, peers });
      far = await createContainer(bed.scope, 'far', 3);
      await kernel.attach(far);
      await expectPing(bed.c1, { to: far.address[4], count: 1 });
    },
    commit: ({ c1 }) =>
      sendUdpSegments(far.namespace, { address: c1.address[4], segment: 1000, bytes: 9000 }),
  },
  'rx.vnet_hdr_bad': {
    // Its IP header claims more than there is.
    commit: (bed) =>
      sendSuperframe(bed.c1, {
        frame: segmentOf(bed, { bytes: 1000, totalLength: 5000 }),
        segment: 100,
        transportAt: 34,
      }),
  },
  'rx.offload_unknown': {
    before: async (bed) => {
      await addPacketPort(bed);
      // A tunnel of the container's own, to nobody.
      await bed.c1.namespace.ip(`
        address add 10.7.0.1/24 dev eth1
        neighbor add 10.7.0.2 lladdr ${numberedMac(7)} dev eth1
        link add name inner0 type vxlan id 77 dstport 4790 remote 10.7.0.2 dev eth1
        link set dev inner0 mtu 1380 up
        address add 10.8.0.1/24 dev inner0
        neighbor add 10.8.0.2 lladdr ${numberedMac(8)} dev inner0
      `);
    },
    commit: ({ c1 }) =>
      sendUdpSegments(c1.namespace, { address: '10.8.0.2', segment: 1000, bytes: 9000 }),
  },
  'rx.src_mac_local': {
    commit: ({ c1, c2 }) => sendFrames(c2, [markedFrame(BROADCAST, c1.mac, 'I am c1')]),
  },
  'tx.port_gone': {
    // As soon as that is noticed it is out of the network, and made anew later: frames must come all the while.
    commit: async ({ scope, c1, c2, vswitchd }) => {
      const file = join(await temporaryDirectory(scope, 'flood'), 'flood.pcap');
      await writePcap(file, [markedFrame(BROADCAST, c1.mac, 'flood')]);
      const args = ['-q', '--pps', '20000', '--loop', '0', '-i', c1.ifname, file];
      const replay = await c1.namespace.spawn(scope, { command: 'tcpreplay', args });
      const entered = async () =>
        (await vswitchd.network('net')).ports.find(({ name }) => name === c1.name)?.rx_frames ?? 0;
      const before = await entered();
      await eventually('frames come', async () => (await entered()) > before + 1000);
      await c2.namespace.tryExec('ip', ['link', 'del', 'dev', c2.ifname]);
      await replay.stop('SIGINT');
    },
  },
  'tx.port_down': {
    before: ({ c2 }) => c2.namespace.ip(`link set dev ${c2.ifname} down`),
    commit: flood,
  },
  'tx.no_route': {
    before: ({ vswitchd }) => vswitchd.ctl('peer', 'add', 'net', '203.0.113.1'),
    commit: flood,
  },
  'tx.eperm': {
    before: ({ one, two }) =>
      one.namespace.exec('nft', ['-f', '-'], {
        input: `table ip firewall {
          chain output {
            type filter hook output priority 0;
            ip daddr ${two.address[4]} udp dport 4789 drop
          }
        }`,
      }),
    commit: flood,
  },
  'tx.local_down': {
    before: ({ one }) =>
      one.namespace.ip(`address del ${one.address[4]}/24 dev ${UNDERLAY_IFNAME}`),
    commit: flood,
  },
  'rx.read_failed': {
    commit: (bed) => floodWith(bed, { calls: ['readv'], path: TUN, errno: 'ENOMEM', times: 5 }),
    unseen: true,
  },
  'rx.port_overrun': {
    before: addPacketPort,
    // Its queue has 16 MB, and each frame takes more than 2 kB of them.
    commit: async ({ scope, c1, vswitchd }) => {
      const file = join(await temporaryDirectory(scope, 'flood'), 'flood.pcap');
      await writePcap(file, [markedFrame(BROADCAST, numberedMac(3), 'x'.repeat(1400))]);
      vswitchd.child.signal('SIGSTOP');
      const args = ['-q', '--topspeed', '--loop', '10000', '-i', 'eth1', file];
      await c1.namespace.exec('tcpreplay', args);
      vswitchd.child.signal('SIGCONT');
    },
    unseen: true,
  },
  'tx.port_refused': {
    commit: (bed) => floodWith(bed, { calls: ['writev'], path: TUN, errno: 'ENOMEM', times: 1 }),
  },
  'tx.send_failed': {
    // The first error may be that of an earlier datagram, so it is tried twice.
    commit: (bed) => floodWith(bed, { calls: ['sendmmsg'], errno: 'EREMOTEIO', times: 2 }),
  },
  'tx.batch_full': {
    underlay: 'udp',
    // Each byte gets headers of its own, of more than 100 bytes. Above 60000 bytes the kernel cuts it itself.
    commit: (bed) =>
      sendSuperframe(bed.c1, {
        frame: segmentOf(bed, { bytes: 59_000, options: 40 }),
        segment: 1,
        transportAt: 34,
      }),
  },
};

async function build(scope: Scope, producer: Producer): Promise<Bed> {
  const { mtu } = producer;
  const spec = { hosts: ['one', 'two'], ...(mtu && { mtu }) };
  const { hosts, wire } = await createUnderlay(scope, spec);
  const [one, two] = hosts as [Host, Host];
  const [c1, c2] = [await createContainer(scope, 'c1', 1), await createContainer(scope, 'c2', 2)];
  await producer.prepare?.({ scope, wire, one, two, c1, c2 });
  const ports = [portOf(c1), portOf(c2)];
  const net = { name: 'net', vni: 256, peers: [two.address[4]], ports };
  const vswitchd = await Vswitchd.start(scope, one, {
    networks: producer.networks ?? [net],
    datapath: { workers: 1, ...(producer.underlay && { underlay: producer.underlay }) },
  });
  return { scope, wire, one, two, c1, c2, vswitchd };
}

test.each(madeInNamespaces)('%s', async (reason) => {
  const producer = producers[reason];
  const scope = testScope();
  const bed = await build(scope, producer);
  const { vswitchd } = bed;
  if (producer.underlay) {
    expect((await vswitchd.counters()).underlay.path).toBe(producer.underlay);
  }
  await producer.before?.(bed);
  const file = join(await temporaryDirectory(scope, 'drops'), 'drops.pcapng');
  const capture = await bed.one.namespace.spawn(scope, {
    command: process.execPath,
    args: [
      PROGRAM,
      '--socket',
      vswitchd.socket,
      'capture',
      '--drops',
      '--snaplen',
      '200',
      '-w',
      file,
    ],
  });
  await capture.waitForLine(/capturing/);
  const before = await vswitchd.drops(reason);
  await eventually(`${reason} is counted`, async () => {
    await producer.commit(bed);
    if ((await vswitchd.drops(reason)) > before) return true;
    throw new Error(JSON.stringify(await allDrops(vswitchd)));
  });
  expect(await capture.stop('SIGINT')).toMatchObject({ code: 0 });
  const { packets, statistics } = await remarks(file);
  if (!producer.unseen) expect(packets).toContain(reason);
  expect(statistics).toContain(reason);
  expect(await measured(vswitchd, reason)).toBeGreaterThan(before);
  await vswitchd.balanced();
});

/** What was dropped instead. */
async function allDrops(vswitchd: Vswitchd): Promise<unknown> {
  const { underlay, networks } = await vswitchd.counters();
  const places = [underlay, ...networks, ...networks.flatMap((network) => network.ports)];
  return places.flatMap(({ drops }) => drops.map(({ reason, frames }) => [reason, frames]));
}

/** Of which reasons a capture speaks, at its packets and in its statistics. */
async function remarks(file: string) {
  const packets = new Set<string>();
  const statistics = new Set<string>();
  for (const item of new AnyCaptureReader().read(await readFile(file))) {
    if (item.kind === 'problem') throw new Error(item.what);
    for (const comment of item.comments) {
      const name = /^(?:drop )?(\w+\.\w+): /.exec(comment)?.[1];
      if (name !== undefined) (item.kind === 'packet' ? packets : statistics).add(name);
    }
  }
  return { packets, statistics };
}

/** As Prometheus reads it. */
async function measured(vswitchd: Vswitchd, reason: string): Promise<number | undefined> {
  const http = new Client('http://vswitchd', { socketPath: vswitchd.socket });
  try {
    const { body } = await http.request({ method: 'GET', path: '/metrics' });
    const families = parseMetrics(await body.text());
    return seriesValue(families, 'vswitchd_dropped_frames_total', { reason });
  } finally {
    await http.close();
  }
}

const TUN = '/dev/net/tun';
const PROGRAM = fileURLToPath(new URL('../../dist/bin/vswitchctl.js', import.meta.url));
