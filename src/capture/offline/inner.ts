// The VXLAN header (RFC 7348 section 5) and the frame behind it, judged as the switch would, in its order.
//
// Lengths are those of the wire; where a field was not kept by the capture nothing is said about it.

import type { OfflineReason } from '../../model/dropReasons.js';
import { ETHERTYPE } from './link.js';
import { type IpPacket, readIpv4, readIpv6 } from './outer.js';

/** A VXLAN header that says whose it is. */
export interface VxlanHeader {
  readonly vni: number;
  /** Group policy (draft-smith-vxlan-group-policy). */
  readonly hasPolicy: boolean;
  /** Generic protocol extension (draft-ietf-nvo3-vxlan-gpe): what lies behind it. */
  readonly nextProtocol: number | undefined;
  /** Bits that are reserved in RFC 7348 and in the two drafts. */
  readonly hasReserved: boolean;
}

export interface InnerFrame {
  readonly destination: number;
  readonly source: number;
  /** VLAN ID of the outermost tag. */
  readonly vlan: number | undefined;
  /** Ethertype behind at most two tags. */
  readonly type: number;
  readonly ip: IpPacket | undefined;
}

/** What a datagram is. With `reason` every vswitchd drops it, whatever its settings. */
export interface Judgement {
  readonly header?: VxlanHeader;
  readonly frame?: InnerFrame;
  readonly reason?: OfflineReason;
  /** The capture kept too little to say more. */
  readonly cut?: true;
}

/** Where a datagram's payload lies: from `at` to `end` on the wire, of which `bytes` were kept. */
export interface Payload {
  readonly bytes: Buffer;
  readonly at: number;
  readonly end: number;
}

/** `ecn` is the congestion field of the outer IP header. */
export function judge(payload: Payload, ecn: number): Judgement {
  const { bytes, at, end } = payload;
  if (end - at < HEADER) return { reason: 'rx.too_short_vxlan' };
  if (bytes.length < at + HEADER) return { cut: true };
  const header = readHeader(bytes, at);
  if (header === undefined) return { reason: 'rx.vxlan_no_i' };
  if (header.nextProtocol !== undefined && header.nextProtocol !== GPE_ETHERNET) return { header };
  return { header, ...judgeFrame({ bytes, at: at + HEADER, end }, ecn) };
}

function readHeader(bytes: Buffer, at: number): VxlanHeader | undefined {
  const flags = bytes.readUInt32BE(at);
  if ((flags & FLAG.vni) === 0) return undefined;
  const last = bytes.readUInt8(at + 7);
  const hasPolicy = (flags & FLAG.policy) !== 0;
  const hasProtocol = (flags & FLAG.protocol) !== 0;
  const known = FLAG.vni | (hasPolicy ? FLAG.ofPolicy : 0) | (hasProtocol ? FLAG.ofProtocol : 0);
  return {
    vni: bytes.readUIntBE(at + 4, 3),
    hasPolicy,
    nextProtocol: hasProtocol ? flags & 0xff : undefined,
    hasReserved: (flags & ~known) !== 0 || last !== 0,
  };
}

function judgeFrame({ bytes, at, end }: Payload, ecn: number): Judgement {
  if (end - at < ETHERNET) return { reason: 'rx.too_short_inner' };
  if (bytes.length < at + ETHERNET) return { cut: true };
  const behind = behindTags({ bytes, at, end });
  if (behind === 'cut') return { cut: true };
  const { type, offset, vlan, isTagBroken } = behind;
  const least = type === ETHERTYPE.ipv4 ? 20 : type === ETHERTYPE.ipv6 ? 40 : 0;
  if (end - offset < least) return { reason: 'rx.inner_ip_short' };
  if (isTagBroken) return { reason: 'rx.too_short_inner' };
  const ip = readInnerIp({ bytes, at: offset, end }, type);
  const frame = {
    destination: bytes.readUIntBE(at, 6),
    source: bytes.readUIntBE(at + 6, 6),
    vlan,
    type,
    ip,
  };
  const reason = reasonOf(frame, ecn);
  return reason === undefined ? { frame } : { frame, reason };
}

/** At most two tags; a third, or one that the frame ends in, counts as what it carries. */
function behindTags({ bytes, at, end }: Payload) {
  let offset = at + ETHERNET;
  let type = bytes.readUInt16BE(offset - 2);
  const isTagBroken = isTag(type) && end - offset < TAG;
  let vlan: number | undefined;
  for (let tags = 0; tags < 2 && isTag(type) && end - offset >= TAG; tags++) {
    if (bytes.length < offset + TAG) return 'cut';
    vlan ??= bytes.readUInt16BE(offset) & 0x0fff;
    type = bytes.readUInt16BE(offset + 2);
    offset += TAG;
  }
  return { type, offset, vlan, isTagBroken };
}

/** What its header says; undefined where it is none, malformed, or not kept. */
function readInnerIp({ bytes, at, end }: Payload, type: number): IpPacket | undefined {
  const read = type === ETHERTYPE.ipv4 ? readIpv4 : type === ETHERTYPE.ipv6 ? readIpv6 : undefined;
  const ip = read?.(bytes, at, end);
  if (ip === undefined || ip === 'other' || ip === 'cut') return undefined;
  return ip.family === 4 && ip.payload > end ? undefined : ip;
}

function reasonOf({ destination, source, ip }: InnerFrame, ecn: number): OfflineReason | undefined {
  if (ecn === ECN.ce && ip !== undefined && (ip.tos & 3) === ECN.notEct) return 'rx.ecn_ce_notect';
  if (isGroup(source)) return 'rx.src_mac_mcast';
  if (source === 0) return 'rx.src_mac_zero';
  if (destination === 0) return 'rx.dst_mac_zero';
  // IEEE 802.1Q table 8-1: these three never leave their link; the others are a network's choice.
  if (destination >= LINK_LOCAL && destination <= LINK_LOCAL + 2) return 'rx.l2ctrl_filtered';
  return source === destination ? 'rx.src_eq_dst' : undefined;
}

/** Multicast and broadcast. */
export function isGroup(mac: number): boolean {
  return (Math.floor(mac / 2 ** 40) & 1) === 1;
}

function isTag(type: number): boolean {
  return type === ETHERTYPE.vlan || type === ETHERTYPE.qinq;
}

/** RFC 3168. */
export const ECN = { notEct: 0, ect1: 1, ect0: 2, ce: 3 };
export const BROADCAST = 0xffff_ffff_ffff;
export const VXLAN_HEADER = 8;

const HEADER = VXLAN_HEADER;
const ETHERNET = 14;
const TAG = 4;
const GPE_ETHERNET = 3;
const LINK_LOCAL = 0x0180_c200_0000;
/** In the header's first four bytes. */
const FLAG = {
  vni: 0x0800_0000,
  policy: 0x8000_0000,
  /** G, D, A and the policy's ID. */
  ofPolicy: 0x8048_ffff,
  protocol: 0x0400_0000,
  /** Version, P, B, O and the next protocol. */
  ofProtocol: 0x3700_00ff,
};
