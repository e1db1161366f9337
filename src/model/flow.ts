// What people say about a frame when they ask for its way. `flowText.ts` reads it, `flowDefaults.ts` fills in what was
// left open, `flowFrame.ts` makes the frame.

import type { Family, Ip } from './ip.js';
import type { Mac } from './mac.js';

/** What was said about a frame; everything that is absent is open. */
export interface Flow {
  readonly etherSrc?: Mac | undefined;
  readonly etherDst?: Mac | undefined;
  /** From the outside in, at most two. */
  readonly tags: readonly VlanTag[];
  readonly packet: Packet;
  /** Of the whole frame without FCS, bytes. */
  readonly length?: number | undefined;
}

export interface VlanTag {
  /** 0 = priority tag. */
  readonly vid: number;
  readonly pcp: number;
}

export type Packet = IpPacket | Resolution | OtherPacket;

export interface IpPacket {
  readonly kind: 'ip';
  readonly family?: Family | undefined;
  readonly src?: Ip | undefined;
  readonly dst?: Ip | undefined;
  /** Type of service or traffic class. */
  readonly tos: number;
  readonly ttl: number;
  /** Don't fragment; IPv4 alone has it. */
  readonly df: boolean;
  readonly transport?: Transport | undefined;
}

export type Transport =
  | {
      readonly kind: 'tcp';
      readonly sport?: number | undefined;
      readonly dport?: number | undefined;
      /** As in the header: FIN 1, SYN 2, RST 4, PSH 8, ACK 16. */
      readonly flags?: number | undefined;
    }
  | {
      readonly kind: 'udp';
      readonly sport?: number | undefined;
      readonly dport?: number | undefined;
    }
  | { readonly kind: 'echo'; readonly reply: boolean }
  /** Nothing but zeros behind the IP header. */
  | { readonly kind: 'protocol'; readonly number: number };

/** A question who has an address, or its answer: ARP (RFC 826) or neighbor discovery (RFC 4861). */
export interface Resolution {
  readonly kind: 'arp' | 'nd';
  readonly reply: boolean;
  /** The address that is asked for, or that the answer is about. */
  readonly ip: Ip;
  /** Of an answer: who has it. */
  readonly mac?: Mac | undefined;
  /** Who asks, or who is answered; of an answer without it: everybody. */
  readonly tell?: Ip | undefined;
}

/** Neither IP nor ARP: zeros behind an ethertype. */
export interface OtherPacket {
  readonly kind: 'other';
  readonly type: number;
}

/** Nothing is open any more. */
export interface WholeFlow {
  readonly etherSrc: Mac;
  readonly etherDst: Mac;
  readonly tags: readonly VlanTag[];
  readonly packet: WholePacket;
  readonly length?: number | undefined;
}

export type WholePacket = WholeIpPacket | WholeResolution | OtherPacket;

export interface WholeIpPacket extends IpPacket {
  readonly src: Ip;
  readonly dst: Ip;
  readonly transport: WholeTransport;
}

export type WholeTransport =
  | {
      readonly kind: 'tcp';
      readonly sport: number;
      readonly dport: number;
      readonly flags: number;
    }
  | { readonly kind: 'udp'; readonly sport: number; readonly dport: number }
  | { readonly kind: 'echo'; readonly reply: boolean }
  | { readonly kind: 'protocol'; readonly number: number };

export interface WholeResolution extends Resolution {
  readonly mac: Mac;
  readonly tell: Ip;
}

export const TCP_FLAGS = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;
