// From a flow to the frame: byte-exact, with right lengths and checksums.

import { internetChecksum } from './checksum.js';
import {
  TCP_FLAGS,
  type VlanTag,
  type WholeFlow,
  type WholeIpPacket,
  type WholePacket,
  type WholeResolution,
  type WholeTransport,
} from './flow.js';
import { type Ip, toNumber } from './ip.js';
import type { Mac } from './mac.js';

/** The frame without FCS and without padding; `undefined` when it cannot be as short as its `length`. */
export function frameOf(flow: WholeFlow): Uint8Array | undefined {
  const head = [macBytes(flow.etherDst), macBytes(flow.etherSrc), ...flow.tags.map(tagBytes)];
  const rest = flow.length === undefined ? undefined : flow.length - sizeOf(head) - 2;
  const packet = packetBytes(flow.packet, rest);
  return packet && Buffer.concat([...head, u16(etherTypeOf(flow.packet)), packet]);
}

/** Filled with zeros to `length` bytes where that is given. */
function packetBytes(packet: WholePacket, length: number | undefined): Buffer | undefined {
  switch (packet.kind) {
    case 'ip':
      return ipBytes(packet, length);
    case 'arp':
      return padded(arpBytes(packet), length);
    case 'nd': {
      const { reply, ip, tell } = packet;
      const dst = reply ? tell : solicitedNode(ip);
      const ends = { src: reply ? ip : tell, dst };
      const message = neighborMessage(packet, ends);
      // RFC 4861 section 7.1: any other hop limit is refused.
      return padded(ipHeader({ ...ends, tos: 0, ttl: 255, df: false }, ICMPV6, message), length);
    }
    case 'other':
      return padded(Buffer.alloc(0), length);
  }
}

function padded(packet: Buffer, length = packet.length): Buffer | undefined {
  if (packet.length > length) return undefined;
  return Buffer.concat([packet, Buffer.alloc(length - packet.length)]);
}

function ipBytes(packet: WholeIpPacket, length: number | undefined): Buffer | undefined {
  const headLength = packet.src.family === 4 ? 20 : 40;
  const bare = transportBytes(packet.transport, packet, 0);
  const payload = length === undefined ? 0 : length - headLength - bare.length;
  if (payload < 0) return undefined;
  const segment = transportBytes(packet.transport, packet, payload);
  return ipHeader(packet, protocolOf(packet.transport, packet.src.family), segment);
}

type IpHead = Pick<WholeIpPacket, 'src' | 'dst' | 'tos' | 'ttl' | 'df'>;

/** RFC 791, RFC 8200: the header, and the payload behind it. */
function ipHeader({ src, dst, tos, ttl, df }: IpHead, protocol: number, payload: Buffer): Buffer {
  if (src.family === 6) {
    const first = u32(((6 << 28) | (tos << 20)) >>> 0);
    const rest = [u16(payload.length), Buffer.from([protocol, ttl])];
    return Buffer.concat([first, ...rest, ipBytesOf(src), ipBytesOf(dst), payload]);
  }
  const head = Buffer.concat([
    Buffer.from([0x45, tos]),
    u16(20 + payload.length),
    u16(0),
    u16(df ? 0x4000 : 0),
    Buffer.from([ttl, protocol, 0, 0]),
    ipBytesOf(src),
    ipBytesOf(dst),
  ]);
  head.writeUInt16BE(internetChecksum(head), 10);
  return Buffer.concat([head, payload]);
}

/** With `size` zeros behind the transport header. */
function transportBytes(transport: WholeTransport, ends: Ends, size: number): Buffer {
  const zeros = Buffer.alloc(size);
  switch (transport.kind) {
    case 'tcp':
      return tcpBytes(transport, ends, zeros);
    case 'udp': {
      const head = [u16(transport.sport), u16(transport.dport), u16(8 + size), u16(0)];
      const datagram = Buffer.concat([...head, zeros]);
      // RFC 768: zero would mean that there is none.
      datagram.writeUInt16BE(transportChecksum(ends, UDP, datagram) || 0xffff, 6);
      return datagram;
    }
    case 'echo': {
      const v6 = ends.src.family === 6;
      const type = v6 ? (transport.reply ? 129 : 128) : transport.reply ? 0 : 8;
      const message = Buffer.concat([Buffer.from([type, 0, 0, 0]), u16(1), u16(1), zeros]);
      const sum = v6 ? transportChecksum(ends, ICMPV6, message) : internetChecksum(message);
      message.writeUInt16BE(sum, 2);
      return message;
    }
    case 'protocol':
      return zeros;
  }
}

/** RFC 9293; a SYN says the MSS that an MTU of 1500 makes. */
function tcpBytes(
  { sport, dport, flags }: Extract<WholeTransport, { kind: 'tcp' }>,
  ends: Ends,
  payload: Buffer,
): Buffer {
  const mss = ends.src.family === 4 ? 1460 : 1440;
  const options = (flags & TCP_FLAGS.syn) === 0 ? [] : [Buffer.from([2, 4]), u16(mss)];
  const segment = Buffer.concat([
    u16(sport),
    u16(dport),
    u32(1),
    u32((flags & TCP_FLAGS.ack) === 0 ? 0 : 1),
    Buffer.from([((20 + sizeOf(options)) / 4) << 4, flags]),
    u16(65_535),
    u32(0),
    ...options,
    payload,
  ]);
  segment.writeUInt16BE(transportChecksum(ends, TCP, segment), 16);
  return segment;
}

/** RFC 826, for IPv4 over Ethernet. */
function arpBytes({ reply, ip, mac, tell }: WholeResolution): Buffer {
  const sender = reply ? ip : tell;
  const target = reply ? tell : ip;
  return Buffer.concat([
    Buffer.from([0, 1, 8, 0, 6, 4, 0, reply ? 2 : 1]),
    ...[macBytes(mac), ipBytesOf(sender)],
    ...[Buffer.alloc(6), ipBytesOf(target)],
  ]);
}

/** RFC 4861 sections 4.3 and 4.4: with the sender's MAC as option; an answer overrides what was known. */
function neighborMessage({ reply, ip, mac, tell }: WholeResolution, ends: Ends): Buffer {
  const asked = answerFlags(reply, tell);
  const option = Buffer.concat([Buffer.from([reply ? 2 : 1, 1]), macBytes(mac)]);
  const head = Buffer.from([reply ? 136 : 135, 0, 0, 0, asked, 0, 0, 0]);
  const message = Buffer.concat([head, ipBytesOf(ip), option]);
  message.writeUInt16BE(transportChecksum(ends, ICMPV6, message), 2);
  return message;
}

/** Solicited, when it answers somebody; override. */
function answerFlags(reply: boolean, tell: Ip): number {
  if (!reply) return 0;
  return tell.address === ALL_NODES ? 0x20 : 0x60;
}

/** The addresses that a transport checksum covers. */
interface Ends {
  readonly src: Ip;
  readonly dst: Ip;
}

/** RFC 9293 section 3.1, RFC 8200 section 8.1: over pseudo header and packet. */
function transportChecksum({ src, dst }: Ends, protocol: number, packet: Buffer): number {
  const pseudo = [ipBytesOf(src), ipBytesOf(dst), u32(packet.length), u32(protocol)];
  return internetChecksum(Buffer.concat([...pseudo, packet]));
}

function protocolOf(transport: WholeTransport, family: Ip['family']): number {
  switch (transport.kind) {
    case 'tcp':
      return TCP;
    case 'udp':
      return UDP;
    case 'echo':
      return family === 4 ? ICMP : ICMPV6;
    case 'protocol':
      return transport.number;
  }
}

function etherTypeOf(packet: WholePacket): number {
  switch (packet.kind) {
    case 'ip':
      return packet.src.family === 4 ? 0x0800 : IPV6;
    case 'arp':
      return 0x0806;
    case 'nd':
      return IPV6;
    case 'other':
      return packet.type;
  }
}

/** RFC 4291 section 2.7.1. */
export function solicitedNode(ip: Ip): Ip {
  const low = (toNumber(ip) & 0xffffffn).toString(16).padStart(6, '0');
  return {
    family: 6,
    address: `ff02::1:ff${low.slice(0, 2)}:${low.slice(2).replace(/^0+(?=.)/, '')}`,
  };
}

/** Where IPv6's multicast of the link is heard by everybody. */
export const ALL_NODES = 'ff02::1';

function tagBytes({ vid, pcp }: VlanTag): Buffer {
  return Buffer.concat([u16(0x8100), u16((pcp << 13) | vid)]);
}

function macBytes(mac: Mac): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function ipBytesOf(ip: Ip): Buffer {
  return Buffer.from(
    toNumber(ip)
      .toString(16)
      .padStart(ip.family === 4 ? 8 : 32, '0'),
    'hex',
  );
}

function sizeOf(parts: readonly Buffer[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** IANA's numbers. */
const [ICMP, TCP, UDP, ICMPV6] = [1, 6, 17, 58] as const;
const IPV6 = 0x86dd;
