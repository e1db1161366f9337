// Where the IP packet begins behind the header of a link.

import { LINK_TYPE } from './packet.js';

/** What a link's header says. */
export interface Link {
  /** Where what it carries begins. */
  readonly at: number;
  /** Ethertype of that. */
  readonly type: number;
  /** Ethernet: who sent it over the last link. */
  readonly sender: number | undefined;
}

/** `unknown`: no such link type is known here. `cut`: the header is not there in full. */
export type LinkRefusal = 'unknown' | 'cut';

export function readLink(linkType: number, bytes: Buffer): Link | LinkRefusal {
  switch (linkType) {
    case LINK_TYPE.ethernet:
      if (bytes.length < 14) return 'cut';
      return behindTags(bytes, 14, bytes.readUIntBE(6, 6));
    case LINK_TYPE.linuxCooked:
      return bytes.length < 16 ? 'cut' : behindTags(bytes, 16, undefined);
    case LINK_TYPE.linuxCooked2:
      if (bytes.length < 20) return 'cut';
      return { at: 20, type: bytes.readUInt16BE(0), sender: undefined };
    case LINK_TYPE.null:
    case LINK_TYPE.loop:
      return bytes.length < 4 ? 'cut' : ipByVersion(bytes, 4);
    case LINK_TYPE.raw:
    case LINK_TYPE.rawBsd:
    case LINK_TYPE.rawOpenBsd:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return ipByVersion(bytes, 0);
    default:
      return 'unknown';
  }
}

/** An ethertype stands before `at`, or the tag of a VLAN, with which the next one stands 4 bytes further on. */
function behindTags(bytes: Buffer, at: number, sender: number | undefined): Link | LinkRefusal {
  let [start, type] = [at, bytes.readUInt16BE(at - 2)];
  for (let tags = 0; tags < MAX_TAGS && TPIDS.has(type); tags++) {
    start += 4;
    if (bytes.length < start) return 'cut';
    type = bytes.readUInt16BE(start - 2);
  }
  return { at: start, type, sender };
}

/** Systems number address families each in their own way, but every IP packet says its version. */
function ipByVersion(bytes: Buffer, at: number): Link | LinkRefusal {
  const first = bytes[at];
  if (first === undefined) return 'cut';
  const type = first >> 4 === 4 ? ETHERTYPE.ipv4 : first >> 4 === 6 ? ETHERTYPE.ipv6 : 0;
  return { at, type, sender: undefined };
}

/** IANA ethertypes. */
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, vlan: 0x8100, qinq: 0x88a8 };

/** Of the underlay: also 802.1ad before its standard. */
const TPIDS: ReadonlySet<number> = new Set([ETHERTYPE.vlan, ETHERTYPE.qinq, 0x9100]);
const MAX_TAGS = 4;
