// Names of what frames carry, in the manner of tcpdump.

import type { InnerFrame, VxlanHeader } from './inner.js';
import { ETHERTYPE } from './link.js';

/** Undefined: the frame could not be read. */
export function protocolName(
  header: VxlanHeader,
  frame: InnerFrame | undefined,
): string | undefined {
  if (frame !== undefined) return frameProtocol(frame);
  if (header.nextProtocol === undefined || header.nextProtocol === GPE_ETHERNET) return undefined;
  return `GPE ${GPE.get(header.nextProtocol) ?? `protocol ${header.nextProtocol}`}`;
}

function frameProtocol({ type, ip }: InnerFrame): string {
  if (ip !== undefined) {
    return `IPv${ip.family} ${IP.get(ip.protocol) ?? `protocol ${ip.protocol}`}`;
  }
  // IEEE 802.3: below that it is a length.
  if (type < 0x600) return 'LLC';
  return ETHER.get(type) ?? `ethertype 0x${type.toString(16).padStart(4, '0')}`;
}

const GPE_ETHERNET = 3;
const GPE: ReadonlyMap<number, string> = new Map([
  [1, 'IPv4'],
  [2, 'IPv6'],
  [4, 'NSH'],
]);
const ETHER: ReadonlyMap<number, string> = new Map([
  [ETHERTYPE.ipv4, 'IPv4, unreadable'],
  [ETHERTYPE.ipv6, 'IPv6, unreadable'],
  [ETHERTYPE.arp, 'ARP'],
  [0x88cc, 'LLDP'],
  [0x8847, 'MPLS'],
  [0x8863, 'PPPoE'],
  [0x8864, 'PPPoE'],
]);
const IP: ReadonlyMap<number, string> = new Map([
  [1, 'ICMP'],
  [2, 'IGMP'],
  [6, 'TCP'],
  [17, 'UDP'],
  [47, 'GRE'],
  [50, 'ESP'],
  [58, 'ICMPv6'],
  [89, 'OSPF'],
  [112, 'VRRP'],
  [132, 'SCTP'],
]);
