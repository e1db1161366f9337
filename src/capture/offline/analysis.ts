// What a capture says about VXLAN, packet by packet. Pure: time comes with the packets, and the same packets
// always give the same.

import type { OfflineReason } from '../../model/dropReasons.js';
import { AddressNames } from './addresses.js';
import { BoundedMap, LIMITS, type Limits, type Rooms, rooms, Tally } from './bounded.js';
import { type ComplaintKind, readComplaint } from './complaint.js';
import { ECN, type Judgement, judge, VXLAN_HEADER } from './inner.js';
import { readLink } from './link.js';
import { type Course, type Move, Network, type Sighting } from './network.js';
import {
  type ChecksumVerdict,
  checkUdp,
  type Datagram,
  type IpPacket,
  PROTOCOL,
  readIp,
  readUdp,
} from './outer.js';
import type { CapturedPacket, CaptureItem, CaptureProblem } from './packet.js';

/** Datagrams that came in pieces from one VTEP to another. */
export interface Fragments {
  readonly from: string;
  readonly to: string;
  readonly udpPort: number;
  /** First pieces, which are as many as datagrams; the VNI of the first. */
  datagrams: number;
  vni: number | undefined;
  /** All of them. */
  pieces: number;
  readonly first: Sighting;
}

/** ICMP of one sender about datagrams of one VTEP pair. */
export interface Complaints {
  readonly kind: ComplaintKind;
  readonly by: string;
  readonly from: string;
  readonly to: string;
  readonly mtu: number | undefined;
  readonly vni: number | undefined;
  times: number;
  readonly first: Sighting;
}

/** Over which links a VTEP's datagrams came: source MACs of the outer Ethernet header. */
export interface Sender {
  readonly macs: number[];
}

export interface Refused {
  datagrams: number;
  readonly first: Sighting;
}

/** The outer headers of a packet on a UDP port of VXLAN. */
interface Outer {
  readonly bytes: Buffer;
  readonly ip: IpPacket;
  readonly udp: Datagram;
  /** Ethernet: who sent it over the last link. */
  readonly sender: number | undefined;
  readonly seen: Sighting;
}

type Unread = 'not IP' | 'cut short' | 'unknown link type';

/** Grows with `add`; `report.ts` tells what is in it. Its tables are bounded by `Limits`. */
export class Analysis {
  packets = 0;
  bytes = 0;
  /** Packets that were not kept in full. */
  snapped = 0;
  firstAt: number | undefined;
  lastAt: number | undefined;
  /** Packets that lead to no IP packet, by why. */
  readonly unread = new Tally<Unread>();
  /** Datagrams on a UDP port of VXLAN. */
  datagrams = 0;
  /** Their payloads' bytes. */
  datagramBytes = 0;
  /** Of those, too little was kept for the VXLAN header. */
  headless = 0;
  readonly networks: BoundedMap<number, Network>;
  readonly refused = new Map<OfflineReason, Refused>();
  readonly checksums = new Tally<ChecksumVerdict>();
  /** Marked as congested outside, and so inside from there on. */
  congested = 0;
  /** `inner/outer` of what RFC 6040 marks as odd in figure 4. */
  readonly oddEcn = new Tally<string>();
  /** Marked as congested outside, without a field for that inside. */
  nonIpCongested = 0;
  /** Bytes of the largest IP packet with VXLAN in it, and how many were above 1500. */
  largest = 0;
  above1500 = 0;
  readonly fragments: BoundedMap<string, Fragments>;
  /** Later pieces of UDP whose first piece did not come before. */
  stray = 0;
  readonly complaints: BoundedMap<string, Complaints>;
  readonly moves: Move[] = [];
  readonly senders: BoundedMap<string, Sender>;
  /** By reason, what the capturing switch said it had dropped: of packets, and in its statistics. */
  readonly droppedPackets: Tally<string>;
  readonly droppedFrames: Tally<string>;
  /** Packets that the capturing program said it lost. */
  lost = 0;
  readonly problems: CaptureProblem[] = [];
  moreProblems = 0;
  readonly rooms: Rooms;

  readonly #ports: ReadonlySet<number>;
  readonly #names = new AddressNames();
  /** First pieces, by what all pieces of a packet share; oldest first. */
  readonly #pieces = new Map<string, Fragments>();

  constructor(udpPorts: readonly number[], limits: Limits = LIMITS) {
    this.#ports = new Set(udpPorts);
    this.rooms = rooms(limits);
    this.networks = new BoundedMap(this.rooms.networks);
    this.fragments = new BoundedMap(this.rooms.fragments);
    this.complaints = new BoundedMap(this.rooms.complaints);
    this.senders = new BoundedMap(this.rooms.senders);
    this.droppedPackets = new Tally(this.rooms.kinds);
    this.droppedFrames = new Tally(this.rooms.kinds);
  }

  add(item: CaptureItem): void {
    switch (item.kind) {
      case 'packet':
        this.#packet(item);
        return;
      case 'statistics':
        this.lost += item.lost;
        for (const text of item.comments) this.#droppedInStatistics(text);
        return;
      case 'problem':
        if (this.problems.length < MAX_PROBLEMS) this.problems.push(item);
        else this.moreProblems += 1;
    }
  }

  #packet(packet: CapturedPacket): void {
    this.packets += 1;
    this.bytes += packet.length;
    if (packet.bytes.length < packet.length) this.snapped += 1;
    if (packet.at !== undefined) {
      this.firstAt = Math.min(this.firstAt ?? packet.at, packet.at);
      this.lastAt = Math.max(this.lastAt ?? packet.at, packet.at);
    }
    for (const text of packet.comments) {
      const reason = DROP_COMMENT.exec(text)?.[1];
      if (reason !== undefined) this.droppedPackets.add(reason);
    }
    const seen = { packet: this.packets, at: packet.at };
    const refusal = this.#ip(packet, seen);
    if (refusal !== undefined) this.unread.add(refusal);
  }

  /** What of the packet's outer headers cannot be read; undefined if all that matters can. */
  #ip(packet: CapturedPacket, seen: Sighting): Unread | undefined {
    const link = readLink(packet.linkType, packet.bytes);
    if (link === 'unknown') return 'unknown link type';
    if (link === 'cut') return 'cut short';
    const ip = readIp(packet, link);
    if (ip === 'cut') return 'cut short';
    if (ip === 'other') return 'not IP';
    if (ip.protocol !== PROTOCOL.udp) {
      this.#complaint(packet.bytes, ip, seen);
      return undefined;
    }
    if (ip.piece === 'later') {
      this.#laterPiece(ip);
      return undefined;
    }
    const udp = readUdp(packet.bytes, ip);
    if (udp === undefined) return 'cut short';
    if (this.#ports.has(udp.destinationPort)) {
      const { bytes } = packet;
      this.#outer({ bytes, ip, udp, sender: link.sender, seen });
    }
    return undefined;
  }

  #outer(outer: Outer): void {
    const { bytes, ip, udp, sender, seen } = outer;
    const course = {
      from: this.#source(ip),
      to: this.#destination(ip),
      sourcePort: udp.sourcePort,
      udpPort: udp.destinationPort,
    };
    if (sender !== undefined) this.#sentOver(course.from, sender);
    if (ip.piece === 'first') {
      this.#firstPiece(outer, course);
      return;
    }
    this.datagrams += 1;
    const size = ip.end - ip.at;
    this.largest = Math.max(this.largest, size);
    if (size > ORDINARY_MTU) this.above1500 += 1;
    const reason = this.#outerReason(bytes, ip, udp);
    if (reason !== undefined) {
      this.#refuse(reason, seen);
      return;
    }
    this.datagramBytes += udp.end - udp.payload;
    const judgement = judge({ bytes, at: udp.payload, end: udp.end }, ip.tos & 3);
    this.#inner(judgement, course, outer);
  }

  /** Why the datagram would be dropped before anybody looks into it. */
  #outerReason(bytes: Buffer, ip: IpPacket, udp: Datagram): OfflineReason | undefined {
    if (!ip.sound) return 'rx.outer_ip_bad';
    if (!udp.lengthFits) return 'rx.outer_udp_len';
    const verdict = checkUdp(bytes, ip, udp);
    this.checksums.add(verdict);
    if (verdict === 'wrong') return 'rx.outer_udp_csum';
    return isHostAddress(ip) ? undefined : 'rx.outer_src_invalid';
  }

  #inner(judgement: Judgement, course: Course, { ip, udp, seen }: Outer): void {
    if (judgement.reason !== undefined) this.#refuse(judgement.reason, seen);
    const { header } = judgement;
    if (header === undefined) {
      if (judgement.cut) this.headless += 1;
      return;
    }
    if (judgement.frame !== undefined) this.#congestion(ip.tos & 3, judgement.frame.ip);
    const network = this.networks.obtain(header.vni, () => new Network(header.vni, this.rooms));
    const bytes = udp.end - udp.payload - VXLAN_HEADER;
    const move = network?.add(judgement, course, bytes, seen);
    if (move !== undefined && this.rooms.moves.take()) this.moves.push(move);
  }

  /** RFC 6040 section 4.2. */
  #congestion(outer: number, inner: IpPacket | undefined): void {
    if (outer === ECN.notEct) return;
    if (inner === undefined) {
      if (outer === ECN.ce) this.nonIpCongested += 1;
      return;
    }
    const field = inner.tos & 3;
    const isOdd = field === ECN.notEct || (field === ECN.ce && outer === ECN.ect1);
    if (isOdd) this.oddEcn.add(`${ECN_NAMES[field]}/${ECN_NAMES[outer]}`);
    else if (outer === ECN.ce && field !== ECN.ce) this.congested += 1;
  }

  #firstPiece({ bytes, ip, udp, seen }: Outer, course: Course): void {
    const { from, to, udpPort } = course;
    const entry = this.fragments.obtain(`${from}>${to}:${udpPort}`, () => ({
      ...{ from, to, udpPort, datagrams: 0, pieces: 0, first: seen },
      vni: bytes.length < udp.payload + VXLAN_HEADER ? undefined : vniAt(bytes, udp.payload),
    }));
    if (entry === undefined) return;
    entry.datagrams += 1;
    entry.pieces += 1;
    const [oldest] = this.#pieces.keys();
    if (this.#pieces.size >= REMEMBERED_PIECES && oldest !== undefined) this.#pieces.delete(oldest);
    this.#pieces.set(pieceKey(ip), entry);
  }

  #laterPiece(ip: IpPacket): void {
    const entry = this.#pieces.get(pieceKey(ip));
    if (entry === undefined) this.stray += 1;
    else entry.pieces += 1;
  }

  #complaint(bytes: Buffer, ip: IpPacket, seen: Sighting): void {
    const complaint = readComplaint(bytes, ip);
    if (complaint === undefined || !this.#ports.has(complaint.udpPort)) return;
    const { kind, mtu, vni, addresses } = complaint;
    const half = addresses.length / 2;
    const by = this.#source(ip);
    const from = this.#names.of(addresses.subarray(0, half));
    const to = this.#names.of(addresses.subarray(half));
    const key = [kind, by, from, to, mtu, vni].join(' ');
    const entry = this.complaints.obtain(key, () => ({
      ...{ kind, by, from, to, mtu, vni, times: 0, first: seen },
    }));
    if (entry !== undefined) entry.times += 1;
  }

  #sentOver(vtep: string, mac: number): void {
    const sender = this.senders.obtain(vtep, () => ({ macs: [] }));
    if (sender === undefined || sender.macs.length >= MAX_SENDER_MACS) return;
    if (!sender.macs.includes(mac)) sender.macs.push(mac);
  }

  #refuse(reason: OfflineReason, first: Sighting): void {
    const known = this.refused.get(reason);
    if (known === undefined) this.refused.set(reason, { datagrams: 1, first });
    else known.datagrams += 1;
  }

  #droppedInStatistics(text: string): void {
    const [, reason, frames] = DROP_STATISTIC.exec(text) ?? [];
    if (reason !== undefined) this.droppedFrames.add(reason, Number(frames));
  }

  #source({ addresses }: IpPacket): string {
    return this.#names.of(addresses.subarray(0, addresses.length / 2));
  }

  #destination({ addresses }: IpPacket): string {
    return this.#names.of(addresses.subarray(addresses.length / 2));
  }
}

/** Whether the source can be another host's: not 0.0.0.0, loopback, multicast, broadcast, nor IPv6's like. */
function isHostAddress({ family, addresses }: IpPacket): boolean {
  if (family === 4) {
    const [first = 0] = addresses;
    const isUnspecified = addresses.readUInt32BE(0) === 0;
    const isBroadcast = addresses.readUInt32BE(0) === 0xffff_ffff;
    return !isUnspecified && !isBroadcast && first !== 127 && !(first >= 224 && first < 240);
  }
  const isTiny = addresses.subarray(0, 15).every((byte) => byte === 0);
  return addresses[0] !== 0xff && !(isTiny && (addresses[15] ?? 0) <= 1);
}

function vniAt(bytes: Buffer, at: number): number {
  return bytes.readUIntBE(at + 4, 3);
}

function pieceKey(ip: IpPacket): string {
  return `${ip.addresses.toString('latin1')} ${ip.id}`;
}

/** What our own captures say of a packet that was dropped, and of a place where frames were. */
const DROP_COMMENT = /^drop ([a-z]+\.[a-z0-9_]+)\b/;
const DROP_STATISTIC = /^([a-z]+\.[a-z0-9_]+): (\d{1,15}) frames?$/;
const ECN_NAMES = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'] as const;
const ORDINARY_MTU = 1500;
const REMEMBERED_PIECES = 4096;
const MAX_SENDER_MACS = 8;
const MAX_PROBLEMS = 100;
