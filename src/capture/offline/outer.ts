// IP and UDP around VXLAN, read from as much of a packet as was kept.

import { ETHERTYPE, type Link } from './link.js';
import type { CapturedPacket } from './packet.js';

/** Headers of one IP packet. Offsets count in the captured bytes, and may lie behind what was kept. */
export interface IpPacket {
  readonly family: 4 | 6;
  /** Of the IP header. */
  readonly at: number;
  /** Both addresses as they lie, source first. */
  readonly addresses: Buffer;
  /** Type of service or traffic class. */
  readonly tos: number;
  /** Of what begins at `payload`. */
  readonly protocol: number;
  readonly payload: number;
  /** Where the packet ends by its own word, or else where the wire's bytes do. */
  readonly end: number;
  /** Whether header and length are as they should be. */
  readonly sound: boolean;
  readonly piece: 'whole' | 'first' | 'later';
  /** What the pieces of one packet have in common; 0 of a whole one. */
  readonly id: number;
}

/** The IP packet on a link. `other`: it is none. `cut`: its header was not kept in full. */
export function readIp(packet: CapturedPacket, link: Link): IpPacket | 'other' | 'cut' {
  const wireEnd = packet.length;
  if (link.type === ETHERTYPE.ipv4) return readIpv4(packet.bytes, link.at, wireEnd);
  if (link.type === ETHERTYPE.ipv6) return readIpv6(packet.bytes, link.at, wireEnd);
  return 'other';
}

/** RFC 791 section 3.1. */
export function readIpv4(bytes: Buffer, at: number, wireEnd: number): IpPacket | 'other' | 'cut' {
  if (bytes.length < at + 20) return 'cut';
  const head = (bytes.readUInt8(at) & 0x0f) * 4;
  if (bytes.readUInt8(at) >> 4 !== 4 || head < 20) return 'other';
  const total = bytes.readUInt16BE(at + 2);
  const fragment = bytes.readUInt16BE(at + 6);
  const isWhole = (fragment & 0x3fff) === 0;
  const headKept = bytes.length >= at + head;
  const fits = total >= head && at + total <= wireEnd;
  return {
    family: 4,
    at,
    addresses: bytes.subarray(at + 12, at + 20),
    tos: bytes.readUInt8(at + 1),
    protocol: bytes.readUInt8(at + 9),
    payload: at + head,
    // What is longer than 16 bits can say, as superframes before they are cut, says 0.
    end: total === 0 || !fits ? wireEnd : at + total,
    sound:
      (fits || total === 0) && (!headKept || sumOf(bytes.subarray(at, at + head), 0) === 0xffff),
    piece: isWhole ? 'whole' : (fragment & 0x1fff) === 0 ? 'first' : 'later',
    id: isWhole ? 0 : bytes.readUInt16BE(at + 4),
  };
}

/** RFC 8200 sections 3 and 4; behind at most eight extension headers. */
export function readIpv6(bytes: Buffer, at: number, wireEnd: number): IpPacket | 'other' | 'cut' {
  if (bytes.length < at + 40) return 'cut';
  if (bytes.readUInt8(at) >> 4 !== 6) return 'other';
  const total = bytes.readUInt16BE(at + 4);
  let [protocol, payload] = [bytes.readUInt8(at + 6), at + 40];
  let [piece, id]: [IpPacket['piece'], number] = ['whole', 0];
  for (let n = 0; n < MAX_EXTENSIONS && EXTENSIONS.has(protocol) && piece === 'whole'; n++) {
    if (bytes.length < payload + 8) return 'cut';
    const length = protocol === FRAGMENT ? 8 : (bytes.readUInt8(payload + 1) + 1) * 8;
    if (protocol === FRAGMENT) {
      const field = bytes.readUInt16BE(payload + 2);
      if ((field & 0xfff9) !== 0) {
        piece = field >> 3 === 0 ? 'first' : 'later';
        id = bytes.readUInt32BE(payload + 4);
      }
    }
    protocol = bytes.readUInt8(payload);
    payload += length;
  }
  const fits = at + 40 + total <= wireEnd;
  return {
    family: 6,
    at,
    addresses: bytes.subarray(at + 8, at + 40),
    tos: (bytes.readUInt16BE(at) >> 4) & 0xff,
    protocol,
    payload,
    end: total === 0 || !fits ? wireEnd : at + 40 + total,
    sound: fits,
    piece,
    id,
  };
}

/** A UDP datagram on whole IP packets. */
export interface Datagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: number;
  /** Where it ends by its own word; `lengthFits`: that is within the IP packet. */
  readonly end: number;
  readonly lengthFits: boolean;
  readonly checksum: number;
}

/** RFC 768. Undefined: its header was not kept in full. */
export function readUdp(bytes: Buffer, ip: IpPacket): Datagram | undefined {
  const at = ip.payload;
  if (bytes.length < at + 8) return undefined;
  const length = bytes.readUInt16BE(at + 4);
  // Superframes longer than 16 bits can say have 0 here too.
  const claimed = length === 0 && ip.end - at > 0xffff ? ip.end : at + length;
  return {
    sourcePort: bytes.readUInt16BE(at),
    destinationPort: bytes.readUInt16BE(at + 2),
    payload: at + 8,
    end: claimed,
    lengthFits: claimed >= at + 8 && claimed <= ip.end,
    checksum: bytes.readUInt16BE(at + 6),
  };
}

/**
 * `none`: the sender left it out. `unfinished`: only what the sender's system writes before its network card
 * completes it, as in captures on the sender itself. `unchecked`: not all that it covers was kept.
 */
export type ChecksumVerdict = 'good' | 'wrong' | 'none' | 'unfinished' | 'unchecked';

export function checkUdp(bytes: Buffer, ip: IpPacket, datagram: Datagram): ChecksumVerdict {
  if (datagram.checksum === 0) return 'none';
  if (bytes.length < datagram.end || !datagram.lengthFits) return 'unchecked';
  const length = datagram.end - ip.payload;
  const pseudo = sumOf(ip.addresses, PROTOCOL.udp + (length & 0xffff) + (length >>> 16));
  if (sumOf(bytes.subarray(ip.payload, datagram.end), pseudo) === 0xffff) return 'good';
  return datagram.checksum === pseudo ? 'unfinished' : 'wrong';
}

/** RFC 1071, added to `start`, folded to 16 bits. */
export function sumOf(bytes: Buffer, start: number): number {
  let sum = start;
  const even = bytes.length & ~1;
  for (let at = 0; at < even; at += 2) sum += bytes.readUInt16BE(at);
  if (bytes.length !== even) sum += bytes.readUInt8(even) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/** IANA protocol numbers. */
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 };

const FRAGMENT = 44;
/** Hop-by-hop, routing, fragment, destination options, which begin alike. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, FRAGMENT, 60]);
const MAX_EXTENSIONS = 8;
