// A frame in one line: who to whom, and what it carries. For people; it never fails, whatever the bytes.

import { fromNumber } from './ip.js';

/** `02:42:0a:00:00:01 > 02:42:0a:00:00:02, IPv4 10.0.0.1 > 10.0.0.2, TCP 50000 > 80 SYN, 58 bytes`. */
export function summaryOf(frame: Uint8Array): string {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
  return [...ethernetParts(bytes), `${bytes.length} bytes`].join(', ');
}

function ethernetParts(frame: Buffer): string[] {
  if (frame.length < 14) return ['shorter than an Ethernet header'];
  const ends = `${macAt(frame, 6)} > ${macAt(frame, 0)}`;
  const tags: string[] = [];
  let at = 12;
  while (TAGS.has(frame.readUInt16BE(at)) && frame.length >= at + 6) {
    const tag = frame.readUInt16BE(at + 2);
    tags.push(`VLAN ${tag & 0xfff} PCP ${tag >> 13}`);
    at += 4;
  }
  return [ends, ...tags, ...packetParts(frame.readUInt16BE(at), frame.subarray(at + 2))];
}

function packetParts(type: number, packet: Buffer): string[] {
  if (type === 0x0806) return [arpText(packet)];
  if (type === 0x0800) return ipv4Parts(packet);
  if (type === 0x86dd) return ipv6Parts(packet);
  return [`ethertype 0x${type.toString(16).padStart(4, '0')}`];
}

/** RFC 826. */
function arpText(packet: Buffer): string {
  if (packet.length < 28) return 'ARP, cut short';
  const [sender, target] = [ipAt(packet, 14, 4), ipAt(packet, 24, 4)];
  return packet.readUInt16BE(6) === 2
    ? `ARP reply ${sender} is at ${macAt(packet, 8)}`
    : `ARP who has ${target}, tell ${sender}`;
}

function ipv4Parts(packet: Buffer): string[] {
  const headLength = ((packet[0] ?? 0) & 15) * 4;
  if (packet.length < 20 || headLength < 20 || packet.length < headLength) {
    return ['IPv4, cut short'];
  }
  const ends = `IPv4 ${ipAt(packet, 12, 4)} > ${ipAt(packet, 16, 4)}`;
  const fragment = packet.readUInt16BE(6) & 0x1fff;
  if (fragment > 0) return [ends, `fragment at ${fragment * 8}`];
  return [ends, transportText(packet[9] ?? 0, packet.subarray(headLength))];
}

function ipv6Parts(packet: Buffer): string[] {
  if (packet.length < 40) return ['IPv6, cut short'];
  const ends = `IPv6 ${ipAt(packet, 8, 6)} > ${ipAt(packet, 24, 6)}`;
  return [ends, transportText(packet[6] ?? 0, packet.subarray(40))];
}

function transportText(protocol: number, bytes: Buffer): string {
  const known = PROTOCOLS[protocol];
  if (known === undefined) return `protocol ${protocol}`;
  if (protocol === 1 || protocol === 58) return icmpText(known, bytes);
  if (bytes.length < 4) return `${known}, cut short`;
  const ports = `${known} ${bytes.readUInt16BE(0)} > ${bytes.readUInt16BE(2)}`;
  const flags = protocol === 6 ? (bytes[13] ?? 0) : 0;
  return [ports, ...FLAGS.filter((_, bit) => (flags >> bit) & 1)].join(' ');
}

function icmpText(known: string, bytes: Buffer): string {
  const [type, code] = [bytes[0], bytes[1]];
  if (type === undefined || code === undefined) return `${known}, cut short`;
  const name = (known === 'ICMP' ? ICMP : ICMPV6)[type];
  if (name === undefined) return `${known} type ${type} code ${code}`;
  const about = known === 'ICMPv6' && (type === 135 || type === 136) && bytes.length >= 24;
  return `${known} ${name}${about ? ` ${ipAt(bytes, 8, 6)}` : ''}`;
}

function macAt(bytes: Buffer, at: number): string {
  return [...bytes.subarray(at, at + 6)].map((b) => b.toString(16).padStart(2, '0')).join(':');
}

function ipAt(bytes: Buffer, at: number, family: 4 | 6): string {
  const size = family === 4 ? 4 : 16;
  return fromNumber(BigInt(`0x${bytes.toString('hex', at, at + size)}`), family);
}

const TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
const PROTOCOLS: Readonly<Record<number, string>> = {
  1: 'ICMP',
  6: 'TCP',
  17: 'UDP',
  58: 'ICMPv6',
};
const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];
const ICMP: Readonly<Record<number, string>> = {
  0: 'echo reply',
  3: 'unreachable',
  8: 'echo request',
  11: 'time exceeded',
};
const ICMPV6: Readonly<Record<number, string>> = {
  1: 'unreachable',
  2: 'packet too big',
  128: 'echo request',
  129: 'echo reply',
  133: 'router solicitation',
  134: 'router advertisement',
  135: 'neighbor solicitation for',
  136: 'neighbor advertisement of',
};
