/**
 * Byte-exact builders of frames and packets, from the inside out: each layer takes the bytes of the next.
 *
 *   ethernet({...}, ipv4({...}, udp({...}, vxlan({...}, ethernet({...}, arp({...}))))))
 *
 * Lengths and checksums are right unless the caller says otherwise, so that a test forges exactly one thing.
 * Pure: no I/O, no randomness.
 */

import { isIPv6 } from 'node:net';

export interface EthernetFields {
  readonly dst: string;
  readonly src: string;
  /** Default: from the first nibble of the payload, IPv4 or IPv6. */
  readonly type?: number;
  /** Tags from the outside in. */
  readonly tags?: readonly VlanTag[];
}

export interface VlanTag {
  readonly vid: number;
  readonly pcp?: number;
  /** 0x8100 unless given. */
  readonly tpid?: number;
}

/** An Ethernet II frame without padding and FCS. */
export function ethernet(fields: EthernetFields, payload: Uint8Array): Buffer {
  const tags = (fields.tags ?? []).map(({ vid, pcp = 0, tpid = ETHERTYPE.vlan }) =>
    Buffer.concat([u16(tpid), u16((pcp << 13) | vid)]),
  );
  const type = fields.type ?? ((payload[0] ?? 0) >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4);
  return Buffer.concat([mac(fields.dst), mac(fields.src), ...tags, u16(type), payload]);
}

export interface ArpFields {
  /** 1 request, 2 reply. */
  readonly op: number;
  readonly senderMac: string;
  readonly senderIp: string;
  readonly targetMac?: string;
  readonly targetIp: string;
}

/** ARP for IPv4 over Ethernet, RFC 826. */
export function arp(fields: ArpFields): Buffer {
  return Buffer.concat([
    Buffer.from([0, 1, 8, 0, 6, 4]),
    u16(fields.op),
    mac(fields.senderMac),
    address(fields.senderIp),
    mac(fields.targetMac ?? '00:00:00:00:00:00'),
    address(fields.targetIp),
  ]);
}

export interface Ipv4Fields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly ttl?: number;
  /** DSCP and ECN. */
  readonly tos?: number;
  readonly id?: number;
  readonly dontFragment?: boolean;
  readonly moreFragments?: boolean;
  /** In bytes, a multiple of 8. */
  readonly fragmentOffset?: number;
  /** Raw options; a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** Overrides the right value. */
  readonly totalLength?: number;
  /** Overrides the right value. */
  readonly checksum?: number;
}

/** RFC 791. */
export function ipv4(fields: Ipv4Fields, payload: Uint8Array): Buffer {
  const options = fields.options ?? new Uint8Array();
  const headLength = 20 + options.length;
  const flags = (fields.dontFragment ? 0x4000 : 0) | (fields.moreFragments ? 0x2000 : 0);
  const head = Buffer.concat([
    Buffer.from([0x40 | (headLength / 4), fields.tos ?? 0]),
    u16(fields.totalLength ?? headLength + payload.length),
    u16(fields.id ?? 0),
    u16(flags | ((fields.fragmentOffset ?? 0) / 8)),
    Buffer.from([fields.ttl ?? 64, fields.protocol]),
    u16(0),
    address(fields.src),
    address(fields.dst),
    options,
  ]);
  head.writeUInt16BE(fields.checksum ?? internetChecksum(head), 10);
  return Buffer.concat([head, payload]);
}

export interface Ipv6Fields {
  readonly src: string;
  readonly dst: string;
  /** The protocol of the payload. */
  readonly nextHeader: number;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  /** Overrides the right value. */
  readonly payloadLength?: number;
}

/** RFC 8200. */
export function ipv6(fields: Ipv6Fields, payload: Uint8Array): Buffer {
  const first = (6 << 28) | ((fields.trafficClass ?? 0) << 20) | (fields.flowLabel ?? 0);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(first >>> 0, 0);
  head.writeUInt16BE(fields.payloadLength ?? payload.length, 4);
  head[6] = fields.nextHeader;
  head[7] = fields.hopLimit ?? 64;
  return Buffer.concat([head, address(fields.src), address(fields.dst), payload]);
}

/** The addresses that a transport checksum covers. */
export interface Ends {
  readonly src: string;
  readonly dst: string;
}

export interface UdpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Overrides the right value; 0 = none. */
  readonly checksum?: number;
  /** Overrides the right value. */
  readonly length?: number;
}

/** RFC 768. */
export function udp(ends: Ends, fields: UdpFields, payload: Uint8Array): Buffer {
  const datagram = Buffer.concat([
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u16(fields.length ?? 8 + payload.length),
    u16(0),
    payload,
  ]);
  const sum = transportChecksum(ends, PROTOCOL.udp, datagram);
  datagram.writeUInt16BE(fields.checksum ?? (sum === 0 ? 0xffff : sum), 6);
  return datagram;
}

export interface TcpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  /** FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128. */
  readonly flags?: number;
  readonly window?: number;
  /** Raw options; a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** Overrides the right value. */
  readonly checksum?: number;
}

/** RFC 9293. */
export function tcp(ends: Ends, fields: TcpFields, payload: Uint8Array): Buffer {
  const options = fields.options ?? new Uint8Array();
  const segment = Buffer.concat([
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u32(fields.sequence ?? 0),
    u32(fields.acknowledgement ?? 0),
    Buffer.from([((20 + options.length) / 4) << 4, fields.flags ?? 0x10]),
    u16(fields.window ?? 65535),
    u32(0), // checksum and urgent pointer
    options,
    payload,
  ]);
  const sum = transportChecksum(ends, PROTOCOL.tcp, segment);
  segment.writeUInt16BE(fields.checksum ?? sum, 16);
  return segment;
}

export interface SctpFields {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly tag?: number;
  /** Overrides the right value. */
  readonly checksum?: number;
}

/** RFC 9260 §3.1; `chunks` are not looked at. */
export function sctp(fields: SctpFields, chunks: Uint8Array): Buffer {
  const packet = Buffer.concat([
    u16(fields.sourcePort),
    u16(fields.destinationPort),
    u32(fields.tag ?? 0),
    u32(0),
    chunks,
  ]);
  packet.writeUInt32LE(fields.checksum ?? crc32c(packet), 8);
  return packet;
}

export interface EchoFields {
  readonly type: 'request' | 'reply';
  readonly id?: number;
  readonly sequence?: number;
}

/** ICMP echo (RFC 792) between IPv4 ends, ICMPv6 echo (RFC 4443) between IPv6 ends. */
export function icmpEcho(ends: Ends, fields: EchoFields, payload: Uint8Array): Buffer {
  const v6 = isIPv6(ends.src);
  const types = v6 ? { request: 128, reply: 129 } : { request: 8, reply: 0 };
  const message = Buffer.concat([
    Buffer.from([types[fields.type], 0, 0, 0]),
    u16(fields.id ?? 0),
    u16(fields.sequence ?? 0),
    payload,
  ]);
  const sum = v6 ? transportChecksum(ends, PROTOCOL.icmpv6, message) : internetChecksum(message);
  message.writeUInt16BE(sum, 2);
  return message;
}

export interface SolicitationFields {
  readonly target: string;
  /** The asker's, as an option. */
  readonly sourceMac?: string;
}

/** A neighbor solicitation, RFC 4861 section 4.3. */
export function neighborSolicitation(ends: Ends, fields: SolicitationFields): Buffer {
  const { target, sourceMac } = fields;
  const option = sourceMac === undefined ? [] : [Buffer.from([1, 1]), mac(sourceMac)];
  const head = Buffer.from([135, 0, 0, 0, 0, 0, 0, 0]);
  const message = Buffer.concat([head, address(target), ...option]);
  message.writeUInt16BE(transportChecksum(ends, PROTOCOL.icmpv6, message), 2);
  return message;
}

/** A neighbor advertisement that overrides what is known, RFC 4861 section 4.4. */
export function neighborAdvertisement(
  ends: Ends,
  fields: { readonly target: string; readonly targetMac: string },
): Buffer {
  const { target, targetMac } = fields;
  const head = Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]);
  const option = [Buffer.from([2, 1]), mac(targetMac)];
  const message = Buffer.concat([head, address(target), ...option]);
  message.writeUInt16BE(transportChecksum(ends, PROTOCOL.icmpv6, message), 2);
  return message;
}

/** A router advertisement without options, RFC 4861 section 4.2. */
export function routerAdvertisement(ends: Ends): Buffer {
  const message = Buffer.from('86000000400007080000000000000000', 'hex');
  message.writeUInt16BE(transportChecksum(ends, PROTOCOL.icmpv6, message), 2);
  return message;
}

export interface VxlanFields {
  readonly vni: number;
  /** 0x08 (the I flag) unless given. */
  readonly flags?: number;
  /** The 24 bits between flags and VNI. */
  readonly reserved1?: number;
  /** The last byte. */
  readonly reserved2?: number;
}

/** RFC 7348 section 5. */
export function vxlan(fields: VxlanFields, frame: Uint8Array): Buffer {
  const word0 = ((fields.flags ?? 0x08) << 24) | (fields.reserved1 ?? 0);
  const word1 = (fields.vni << 8) | (fields.reserved2 ?? 0);
  return Buffer.concat([u32(word0), u32(word1), frame]);
}

/** CRC32c, bit by bit (RFC 9260 appendix A). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0);
  }
  return ~crc >>> 0;
}

/** RFC 1071; over a region whose checksum field is zero it is the value to write there. */
export function internetChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** `02:00:00:xx:xx:xx`, a different MAC for every `n` below 2^24. */
export function numberedMac(n: number): string {
  const bytes = [2, 0, 0, (n >> 16) & 0xff, (n >> 8) & 0xff, n & 0xff];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The checksum over pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1) and packet. */
function transportChecksum(ends: Ends, protocol: number, packet: Uint8Array): number {
  const length = u32(packet.length);
  const pseudo = [address(ends.src), address(ends.dst), length, u32(protocol)];
  return internetChecksum(Buffer.concat([...pseudo, packet]));
}

/** Network byte order bytes of an IPv4 or IPv6 address in text. */
function address(text: string): Buffer {
  if (!isIPv6(text)) return Buffer.from(text.split('.').map(Number));
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const [first, last] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return Buffer.concat(
    [...first, ...zeros, ...last].map((group) => u16(Number.parseInt(group, 16))),
  );
}

function mac(text: string): Buffer {
  return Buffer.from(text.replaceAll(':', ''), 'hex');
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** IANA ethertypes. */
export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  qinq: 0x88a8,
  ipv6: 0x86dd,
  lldp: 0x88cc,
  /** Local experimental, IEEE 802: tests mark their own frames with it. */
  experimental: 0x88b5,
} as const;

/** IANA protocol numbers. */
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, gre: 47, icmpv6: 58, sctp: 132 } as const;

export const BROADCAST = 'ff:ff:ff:ff:ff:ff';
