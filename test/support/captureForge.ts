/** Capture files and links of other systems, by hand. */

import type { ByteOrder } from '../../src/capture/pcapngBlocks.js';
import { ethernet, ipv4, ipv6, PROTOCOL, type UdpFields, udp, vxlan } from './frames.js';

export interface PcapForm {
  readonly order?: ByteOrder;
  readonly nanoseconds?: boolean;
  /** Ethernet unless given. */
  readonly linkType?: number;
  /** Bytes kept of each packet. */
  readonly snaplen?: number;
}

/** A classic pcap file. Packet n is of second n. */
export function pcapBytes(packets: readonly Uint8Array[], form: PcapForm = {}): Buffer {
  const { order = 'little', nanoseconds = false, linkType = 1, snaplen = 262_144 } = form;
  const u32s = (...values: number[]) => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [n, value] of values.entries()) {
      if (order === 'little') bytes.writeUInt32LE(value, 4 * n);
      else bytes.writeUInt32BE(value, 4 * n);
    }
    return bytes;
  };
  const version = order === 'little' ? 0x0004_0002 : 0x0002_0004;
  const magic = nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4;
  const records = packets.flatMap((packet, n) => {
    const kept = packet.subarray(0, snaplen);
    return [u32s(n, 0, kept.length, packet.length), kept];
  });
  return Buffer.concat([u32s(magic, version, 0, 0, snaplen, linkType), ...records]);
}

/** The headers of other links, for the same IP packet. */
export const links: readonly {
  readonly name: string;
  readonly linkType: number;
  header(packet: Uint8Array): Buffer;
}[] = [
  { name: 'raw IP', linkType: 101, header: () => Buffer.alloc(0) },
  { name: 'raw IP of BSD', linkType: 12, header: () => Buffer.alloc(0) },
  { name: 'null, little endian', linkType: 0, header: (ip) => family(ip, 'little') },
  { name: 'null, big endian', linkType: 0, header: (ip) => family(ip, 'big') },
  { name: 'loop', linkType: 108, header: (ip) => family(ip, 'big') },
  {
    name: 'Linux cooked',
    linkType: 113,
    header: (ip) => Buffer.concat([Buffer.from('000000010006020000000001', 'hex'), pad2, type(ip)]),
  },
  {
    name: 'Linux cooked, version 2',
    linkType: 276,
    header: (ip) =>
      Buffer.concat([type(ip), pad2, Buffer.from('0000000200010006020000000001', 'hex'), pad2]),
  },
  { name: 'Ethernet', linkType: 1, header: (ip) => ethernet(HOSTS, ip).subarray(0, 14) },
  {
    name: 'Ethernet with two VLAN tags',
    linkType: 1,
    header: (ip) =>
      ethernet({ ...HOSTS, tags: [{ vid: 7, tpid: 0x88a8 }, { vid: 9 }] }, ip).subarray(0, 22),
  },
];

export interface OuterSpec {
  readonly from?: string;
  readonly to?: string;
  readonly vni?: number;
  readonly tos?: number;
  readonly udp?: Partial<UdpFields>;
}

/** The IP packet around a frame, IPv6 where the addresses are. */
export function vxlanPacket(frame: Uint8Array, spec: OuterSpec = {}): Buffer {
  return udpPacket(vxlan({ vni: spec.vni ?? 256 }, frame), spec);
}

/** The IP packet around a UDP payload. */
export function udpPacket(payload: Uint8Array, spec: OuterSpec = {}): Buffer {
  const ends = { src: spec.from ?? '10.200.0.1', dst: spec.to ?? '10.200.0.2' };
  const ports = { sourcePort: 50_000, destinationPort: 4789, ...spec.udp };
  const datagram = udp(ends, ports, payload);
  return ends.src.includes(':')
    ? ipv6({ ...ends, nextHeader: PROTOCOL.udp, trafficClass: spec.tos ?? 0 }, datagram)
    : ipv4({ ...ends, protocol: PROTOCOL.udp, tos: spec.tos ?? 0 }, datagram);
}

export function onEthernet(packet: Uint8Array, src = HOSTS.src): Buffer {
  return ethernet({ ...HOSTS, src }, packet);
}

function type(ip: Uint8Array): Buffer {
  return ethernet(HOSTS, ip).subarray(12, 14);
}

/** AF_INET and AF_INET6 of Linux. */
function family(ip: Uint8Array, order: ByteOrder): Buffer {
  const bytes = Buffer.alloc(4);
  const number = (ip[0] ?? 0) >> 4 === 6 ? 10 : 2;
  if (order === 'little') bytes.writeUInt32LE(number);
  else bytes.writeUInt32BE(number);
  return bytes;
}

const HOSTS = { dst: '02:00:00:00:00:02', src: '02:00:00:00:00:01' };
const pad2 = Buffer.alloc(2);
