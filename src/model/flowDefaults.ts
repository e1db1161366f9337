// What a flow leaves open is filled in with what this host knows, and told.

import { SwitchError } from './error.js';
import {
  type Flow,
  type IpPacket,
  type Resolution,
  TCP_FLAGS,
  type Transport,
  type WholeFlow,
  type WholeIpPacket,
  type WholePacket,
  type WholeResolution,
  type WholeTransport,
} from './flow.js';
import { ALL_NODES, solicitedNode } from './flowFrame.js';
import {
  type Cidr,
  contains,
  type Family,
  fromNumber,
  type Ip,
  isLinkLocal6,
  isMulticast,
  toNumber,
} from './ip.js';
import { isGroupMac, type Mac } from './mac.js';

/** A station, and where this host knows it from: `port c1`, `the neighbor table`. */
export interface Station {
  readonly mac: Mac;
  readonly ips: readonly Cidr[];
  readonly known: string;
}

/** What this host knows of a network when a frame of it is made up. */
export interface Knowledge {
  /** Where the frame enters: `port c1`, `VTEP 10.200.0.2`. */
  readonly entry: string;
  /** Who is there, as far as that is known; the likeliest first. */
  readonly senders: readonly Station[];
  /** Everybody in the network, local ports first. */
  readonly stations: readonly Station[];
}

export interface Completed {
  readonly flow: WholeFlow;
  /** One sentence for each thing that was not said. */
  readonly assumed: readonly string[];
}

/**
 * An IP packet to an address whose MAC nobody knows becomes the question for it, as its sender would ask first.
 * Throws BAD_FLOW, with what to say, where this host does not know it either. `text` is the flow as it was said.
 */
export function completeFlow(text: string, flow: Flow, knowledge: Knowledge): Completed {
  return new Completion(text, flow, knowledge).complete();
}

class Completion {
  readonly #text: string;
  readonly #flow: Flow;
  readonly #knowledge: Knowledge;
  readonly #assumed: string[] = [];

  constructor(text: string, flow: Flow, knowledge: Knowledge) {
    this.#text = text.trim();
    this.#flow = flow;
    this.#knowledge = knowledge;
  }

  complete(): Completed {
    const { tags } = this.#flow;
    const { packet, src, dst } = this.#packet();
    const etherDst = this.#flow.etherDst ?? this.#destinationMac(dst);
    // What was said of a packet's length does not hold for the question before it.
    const length = packet.kind === this.#flow.packet.kind ? this.#flow.length : undefined;
    const whole = { etherSrc: src, etherDst, tags, length, packet };
    return { flow: whole, assumed: this.#assumed };
  }

  /** The packet, the MAC that sends it, and whereto it goes. */
  #packet(): { packet: WholePacket; src: Mac; dst: Ip | undefined } {
    const { packet } = this.#flow;
    switch (packet.kind) {
      case 'other':
        return { packet, src: this.#sourceMac(undefined), dst: undefined };
      case 'ip': {
        const question = this.#questionBefore(packet);
        if (question !== undefined) return this.#resolution(question);
        const whole = this.#ip(packet);
        return { packet: whole, src: this.#sourceMac(whole.src), dst: whole.dst };
      }
      default:
        return this.#resolution(packet);
    }
  }

  /** RFC 826, RFC 4861 section 7.2.2: who has no MAC for an address of its own subnet asks for it. */
  #questionBefore({ src, dst }: IpPacket): Resolution | undefined {
    if (dst === undefined || this.#flow.etherDst !== undefined) return undefined;
    if (groupMacOf(dst, this.#knowledge) !== undefined || this.#owner(dst) !== undefined) {
      return undefined;
    }
    const { entry } = this.#knowledge;
    const { address } = dst;
    if (!isOnLink(this.#sender(src), dst)) {
      throw this.#unknown(
        `nobody here knows which MAC ${address} has, and it is in no subnet of ${entry}`,
        'say "ether dst MAC" with the MAC of the gateway that leads there',
      );
    }
    this.#assume(
      `Nobody here knows which MAC ${address} has, so ${entry} would ask first: this is the way of its question.`,
    );
    return { kind: dst.family === 4 ? 'arp' : 'nd', reply: false, ip: dst, tell: src };
  }

  #ip(packet: IpPacket): WholeIpPacket {
    const ends = packet.src ?? packet.dst;
    const family = packet.family ?? ends?.family ?? this.#sender(undefined)?.ips[0]?.family ?? 4;
    const src = packet.src ?? this.#sourceIp(family);
    const dst = packet.dst ?? this.#destinationIp(family);
    return { ...packet, family, src, dst, transport: this.#transport(packet.transport) };
  }

  #transport(said: Transport | undefined): WholeTransport {
    if (said === undefined) {
      this.#assume('No protocol was said: it is a ping (ICMP echo request).');
      return { kind: 'echo', reply: false };
    }
    if (said.kind !== 'tcp' && said.kind !== 'udp') return said;
    const sport = said.sport ?? this.#port(said.kind, 'source', 50_000);
    const dport = said.dport ?? this.#port(said.kind, 'destination', said.kind === 'tcp' ? 80 : 53);
    if (said.kind === 'udp') return { kind: 'udp', sport, dport };
    if (said.flags === undefined)
      this.#assume('No flags were said: it is a SYN, the first segment.');
    return { kind: 'tcp', sport, dport, flags: said.flags ?? TCP_FLAGS.syn };
  }

  #port(kind: 'tcp' | 'udp', end: 'source' | 'destination', port: number): number {
    this.#assume(`No ${end} port was said: it is ${kind.toUpperCase()} ${port}.`);
    return port;
  }

  #resolution(packet: Resolution): { packet: WholeResolution; src: Mac; dst: Ip } {
    const { kind, reply, ip } = packet;
    if (reply) {
      const src = this.#sourceMac(ip);
      if (packet.mac === undefined) this.#assume(`It says that ${ip.address} is at ${src}.`);
      const all: Ip = kind === 'arp' ? EVERYBODY : { family: 6, address: ALL_NODES };
      // RFC 5227 section 3: announced to everybody, the target is the address itself.
      const tell = packet.tell ?? (kind === 'arp' ? ip : all);
      const dst = packet.tell ?? all;
      if (packet.tell === undefined) this.#assume('It is told to everybody.');
      return { packet: { ...packet, mac: packet.mac ?? src, tell }, src, dst };
    }
    const tell = packet.tell ?? this.#sourceIp(ip.family);
    const src = this.#sourceMac(tell);
    const dst = kind === 'arp' ? EVERYBODY : solicitedNode(ip);
    return { packet: { ...packet, mac: src, tell }, src, dst };
  }

  /** Whoever at the place of entry has what was said of the source; the first, if nothing was. */
  #sender(ip: Ip | undefined): Station | undefined {
    const { senders } = this.#knowledge;
    const { etherSrc } = this.#flow;
    return (
      senders.find(({ mac }) => mac === etherSrc) ??
      (ip && senders.find((sender) => hasAddress(sender, ip))) ??
      senders[0]
    );
  }

  #sourceMac(ip: Ip | undefined): Mac {
    const { etherSrc } = this.#flow;
    if (etherSrc !== undefined) return etherSrc;
    const { entry } = this.#knowledge;
    const sender = this.#sender(ip);
    if (sender === undefined) {
      throw this.#unknown(`nobody here knows a MAC behind ${entry}`, 'say "ether src MAC"');
    }
    this.#assume(`No source MAC was said: it is ${sender.mac}, from ${sender.known}.`);
    return sender.mac;
  }

  #sourceIp(family: Family): Ip {
    const { entry } = this.#knowledge;
    const sender = this.#sender(undefined);
    const ip = sender?.ips.find((item) => item.family === family);
    if (sender === undefined || ip === undefined) {
      const word = family === 4 ? 'ip' : 'ip6';
      const fix =
        this.#flow.packet.kind === 'ip'
          ? `say "${word} src ADDRESS"`
          : 'say "tell ADDRESS" behind it';
      throw this.#unknown(`nobody here knows an IPv${family} address of ${entry}`, fix);
    }
    this.#assume(`No source address was said: it is ${ip.address}, from ${sender.known}.`);
    return ip;
  }

  #destinationIp(family: Family): Ip {
    const { etherDst } = this.#flow;
    const word = family === 4 ? 'ip' : 'ip6';
    const owner = this.#knowledge.stations.find(({ mac }) => mac === etherDst);
    const ip = owner?.ips.find((item) => item.family === family);
    if (owner !== undefined && ip !== undefined) {
      this.#assume(`No destination address was said: it is ${ip.address}, from ${owner.known}.`);
      return ip;
    }
    if (etherDst !== undefined && isGroupMac(etherDst)) {
      const all: Ip = family === 4 ? EVERYBODY : { family: 6, address: ALL_NODES };
      this.#assume(`No destination address was said: it is ${all.address}, everybody.`);
      return all;
    }
    throw this.#unknown('it does not say where it goes to', `say "${word} dst ADDRESS"`);
  }

  #destinationMac(ip: Ip | undefined): Mac {
    if (ip === undefined) {
      throw this.#unknown('it does not say where it goes to', 'say "ether dst MAC"');
    }
    const group = groupMacOf(ip, this.#knowledge);
    if (group !== undefined) return group;
    const owner = this.#owner(ip);
    if (owner === undefined) {
      throw this.#unknown(`nobody here knows which MAC ${ip.address} has`, 'say "ether dst MAC"');
    }
    this.#assume(
      `No destination MAC was said: ${ip.address} is at ${owner.mac}, from ${owner.known}.`,
    );
    return owner.mac;
  }

  #owner(ip: Ip): Station | undefined {
    return this.#knowledge.stations.find((station) => hasAddress(station, ip));
  }

  #assume(sentence: string): void {
    this.#assumed.push(sentence);
  }

  #unknown(why: string, fix: string): SwitchError {
    return new SwitchError('BAD_FLOW', this.#text, { why, fix });
  }
}

/** Of broadcast and multicast: RFC 894, RFC 1112 section 6.4, RFC 2464 section 7. */
function groupMacOf(ip: Ip, { senders, stations }: Knowledge): Mac | undefined {
  const subnets = [...senders, ...stations].flatMap(({ ips }) => ips);
  if (ip.address === EVERYBODY.address || subnets.some((subnet) => isBroadcastOf(subnet, ip))) {
    return 'ff:ff:ff:ff:ff:ff' as Mac;
  }
  if (!isMulticast(ip)) return undefined;
  const number = toNumber(ip);
  return ip.family === 4
    ? macOf(0x01005e000000n | (number & 0x7fffffn))
    : macOf(0x333300000000n | (number & 0xffffffffn));
}

/** The last address of an IPv4 subnet (RFC 919); those of one or two addresses have none (RFC 3021). */
function isBroadcastOf(subnet: Cidr, ip: Ip): boolean {
  if (subnet.family !== 4 || ip.family !== 4 || subnet.prefix > 30) return false;
  const hosts = (1n << BigInt(32 - subnet.prefix)) - 1n;
  return ip.address === fromNumber(toNumber(subnet) | hosts, 4);
}

/** Also if no subnet of the sender is known. */
function isOnLink(sender: Station | undefined, ip: Ip): boolean {
  const full = ip.family === 4 ? 32 : 128;
  const own = (sender?.ips ?? []).filter((item) => item.family === ip.family && item.prefix < full);
  return own.length === 0 || isLinkLocal6(ip) || own.some((subnet) => contains(subnet, ip));
}

function hasAddress({ ips }: Station, ip: Ip): boolean {
  return ips.some((own) => own.address === ip.address);
}

function macOf(number: bigint): Mac {
  const digits = number.toString(16).padStart(12, '0');
  return (digits.match(/../g) ?? []).join(':') as Mac;
}

const EVERYBODY: Ip = { family: 4, address: '255.255.255.255' };
