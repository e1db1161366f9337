// ICMP about VXLAN: what routers and hosts of the underlay said of datagrams (RFC 792, RFC 4443).

import { type IpPacket, PROTOCOL, readIpv4, readIpv6, readUdp } from './outer.js';

export type ComplaintKind = 'too_big' | 'port_unreachable' | 'unreachable' | 'time_exceeded';

/** What was said, and of the datagram that it quotes. */
export interface Complaint {
  readonly kind: ComplaintKind;
  /** `too_big`: the largest IP packet that would have passed; 0 from routers that know no better. */
  readonly mtu: number | undefined;
  /** Both addresses of the datagram, source first. */
  readonly addresses: Buffer;
  readonly udpPort: number;
  /** Where enough is quoted. */
  readonly vni: number | undefined;
}

/** Undefined where `ip` is no such message, or quotes no UDP. */
export function readComplaint(bytes: Buffer, ip: IpPacket): Complaint | undefined {
  const isIcmp = ip.protocol === (ip.family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6);
  if (!isIcmp || ip.piece !== 'whole' || bytes.length < ip.payload + ICMP_HEADER) return undefined;
  const [type, code] = [bytes.readUInt8(ip.payload), bytes.readUInt8(ip.payload + 1)];
  const kind = ip.family === 4 ? kindOf4(type, code) : kindOf6(type, code);
  if (kind === undefined) return undefined;
  const read = ip.family === 4 ? readIpv4 : readIpv6;
  const quoted = read(bytes, ip.payload + ICMP_HEADER, Number.MAX_SAFE_INTEGER);
  if (typeof quoted === 'string' || quoted.protocol !== PROTOCOL.udp) return undefined;
  const udp = quoted.piece === 'later' ? undefined : readUdp(bytes, quoted);
  if (udp === undefined) return undefined;
  return {
    kind,
    mtu: kind === 'too_big' ? mtuOf(bytes, ip) : undefined,
    addresses: quoted.addresses,
    udpPort: udp.destinationPort,
    vni: bytes.length < udp.payload + 8 ? undefined : bytes.readUIntBE(udp.payload + 4, 3),
  };
}

function kindOf4(type: number, code: number): ComplaintKind | undefined {
  if (type === 11) return 'time_exceeded';
  if (type !== 3) return undefined;
  return code === 4 ? 'too_big' : code === 3 ? 'port_unreachable' : 'unreachable';
}

function kindOf6(type: number, code: number): ComplaintKind | undefined {
  if (type === 2) return 'too_big';
  if (type === 3) return 'time_exceeded';
  if (type !== 1) return undefined;
  return code === 4 ? 'port_unreachable' : 'unreachable';
}

function mtuOf(bytes: Buffer, ip: IpPacket): number {
  // RFC 1191 section 4; RFC 4443 section 3.2.
  return ip.family === 4 ? bytes.readUInt16BE(ip.payload + 6) : bytes.readUInt32BE(ip.payload + 4);
}

const ICMP_HEADER = 8;
