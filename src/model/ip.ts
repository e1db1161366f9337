// IP addresses and prefixes as text in canonical form (dotted quad; RFC 5952 for IPv6), so that
// equal addresses are equal strings.

import { BlockList, isIP, SocketAddress } from 'node:net';

export type Family = 4 | 6;

/** An address without zone. `address` is canonical text. */
export interface Ip {
  readonly family: Family;
  readonly address: string;
}

/** An address with its prefix length, host bits kept: `10.0.0.1/24`. */
export interface Cidr extends Ip {
  readonly prefix: number;
}

/**
 * Reads one address; `undefined` when it is none. A zone (`%eth0`) is refused: the interface of a
 * link-local address is a setting of its own. IPv4-mapped IPv6 is refused: write the IPv4 address.
 */
export function parseIp(text: string): Ip | undefined {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) return undefined;
  if (family === 4) return { family: 4, address: text };
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  return /^::ffff:\d+\./.test(address) ? undefined : { family: 6, address };
}

/** Reads `ADDRESS/PREFIX`; `undefined` when it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const [head, tail, ...rest] = text.split('/');
  if (head === undefined || tail === undefined || rest.length > 0) return undefined;
  const ip = parseIp(head);
  if (ip === undefined || !/^(0|[1-9]\d{0,2})$/.test(tail)) return undefined;
  const prefix = Number(tail);
  return prefix <= (ip.family === 4 ? 32 : 128) ? { ...ip, prefix } : undefined;
}

export function formatCidr(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefix}`;
}

/** The prefix that an interface address belongs to: host bits cleared. */
export function subnetOf(cidr: Cidr): Cidr {
  const bits = cidr.family === 4 ? 32 : 128;
  const host = BigInt(bits - cidr.prefix);
  const number = (toNumber(cidr) >> host) << host;
  return { ...cidr, address: fromNumber(number, cidr.family) };
}

/** Whether `ip` lies in `subnet`; addresses of the other family never do. */
export function contains(subnet: Cidr, ip: Ip): boolean {
  if (subnet.family !== ip.family) return false;
  return subnetOf({ ...ip, prefix: subnet.prefix }).address === subnetOf(subnet).address;
}

/** The address as a number: 32 bits of IPv4, 128 of IPv6. */
export function toNumber(ip: Ip): bigint {
  const parts = ip.family === 4 ? ip.address.split('.').map(Number) : groupsOf(ip.address);
  const width = ip.family === 4 ? 8n : 16n;
  return parts.reduce((sum, part) => (sum << width) | BigInt(part), 0n);
}

/** The address of that number; `number` has no more bits than the family's addresses. */
export function fromNumber(number: bigint, family: Family): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((s) => (number >> s) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, i) => (number >> BigInt(112 - 16 * i)) & 0xffffn);
  const address = groups.map((g) => g.toString(16)).join(':');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

export function isMulticast(ip: Ip): boolean {
  return multicast.check(ip.address, ip.family === 4 ? 'ipv4' : 'ipv6');
}

/** fe80::/10 (RFC 4291 section 2.5.6): means nothing without an interface. */
export function isLinkLocal6(ip: Ip): boolean {
  return ip.family === 6 && linkLocal6.check(ip.address, 'ipv6');
}

/** An address that one host can own: no multicast, broadcast, unspecified or class E address. */
export function isHostAddress(ip: Ip): boolean {
  return !isMulticast(ip) && !noHost.check(ip.address, ip.family === 4 ? 'ipv4' : 'ipv6');
}

function groupsOf(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const text =
    dotted === null ? address : `${dotted[1]}${hexPair(dotted, 2)}:${hexPair(dotted, 4)}`;
  const [head = '', tail] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array<string>(zeros).fill('0'), ...right].map((g) => Number.parseInt(g, 16));
}

function hexPair(quad: RegExpExecArray, at: number): string {
  return (Number(quad[at]) * 256 + Number(quad[at + 1])).toString(16);
}

const multicast = new BlockList();
multicast.addSubnet('224.0.0.0', 4, 'ipv4');
multicast.addSubnet('ff00::', 8, 'ipv6');
const linkLocal6 = new BlockList();
linkLocal6.addSubnet('fe80::', 10, 'ipv6');
const noHost = new BlockList();
noHost.addSubnet('0.0.0.0', 8, 'ipv4');
noHost.addSubnet('240.0.0.0', 4, 'ipv4');
noHost.addAddress('::', 'ipv6');
