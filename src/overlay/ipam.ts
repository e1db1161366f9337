// What is free: addresses of a pool, automatic subnets, VNIs. Pure; each gives the free ones lazily
// and in order of preference, so that whoever loses a race has the next at hand.

import { type Cidr, fromNumber, parseCidr, parseIp, toNumber } from '../model/ip.js';
import type { Pool } from '../model/network.js';
import { FIRST_ALLOCATED_VNI, VNI_MAX } from '../model/vni.js';

export interface Taken<T> {
  has(item: T): boolean;
}

/**
 * The free addresses of a pool (of its range, if it has one), without prefix length: those after
 * `last`, the one given last, and then from the beginning, so that an address that was given back
 * rests before it is given again. Never the gateway, IPv4's network and broadcast address, nor
 * IPv6's Subnet-Router anycast address (RFC 4291 section 2.6.1).
 */
export function* freeAddresses(pool: Pool, taken: Taken<string>, last?: string): Generator<string> {
  const { family } = cidrOf(pool.subnet);
  const [first, end] = spanOf(pool);
  const previous = last === undefined ? undefined : parseIp(last);
  const cursor = previous?.family === family ? toNumber(previous) : first - 1n;
  const start = cursor >= first && cursor < end ? cursor + 1n : first;
  for (const [from, to] of [
    [start, end],
    [first, start - 1n],
  ] as const) {
    for (let number = from; number <= to; number++) {
      const address = fromNumber(number, family);
      if (address !== pool.gateway && !taken.has(address)) yield address;
    }
  }
}

/** Whether a host of the pool's subnet may have that address; the gateway's and those outside its range are such. */
export function isUsable(pool: Pool, address: string): boolean {
  const ip = parseIp(address);
  const { family } = cidrOf(pool.subnet);
  if (ip?.family !== family) return false;
  const [first, last] = hostsOf(cidrOf(pool.subnet));
  const number = toNumber(ip);
  return number >= first && number <= last;
}

/** `10.0.0.7/24` for an address of the pool. */
export function inPool(pool: Pool, address: string): string {
  return `${address}/${cidrOf(pool.subnet).prefix}`;
}

export function familyOf(pool: Pool): 4 | 6 {
  return cidrOf(pool.subnet).family;
}

/**
 * Where automatic subnets come from: 4,096 of /24 in the part of 10/8 that the usual suspects leave
 * alone: Docker's swarm begins at 10.0, podman at 10.88, Kubernetes' services at 10.96, Google's and
 * flannel's networks lie above 10.128.
 */
export const AUTOMATIC_SUBNETS = '10.112.0.0/12';
const AUTOMATIC_PREFIX = 24;

/**
 * Automatic subnets that nobody has claimed and that overlap with none of `taken` (CIDR text of either
 * family), lowest first.
 */
export function* freeSubnets(taken: readonly string[], claimed: Taken<string>): Generator<string> {
  const range = boundsOf(cidrOf(AUTOMATIC_SUBNETS));
  const others = taken.flatMap((text) => {
    const other = parseCidr(text);
    return other?.family === 4 ? [boundsOf(other)] : [];
  });
  const size = 1n << BigInt(32 - AUTOMATIC_PREFIX);
  for (let first = range[0]; first < range[1]; first += size) {
    const subnet = `${fromNumber(first, 4)}/${AUTOMATIC_PREFIX}`;
    const isFree = others.every((other) => other[1] < first || first + size <= other[0]);
    if (isFree && !claimed.has(subnet)) yield subnet;
  }
}

/**
 * The free VNIs after the highest that was in use when `highest` was taken down (0: none), then the
 * lowest ones, so that a VNI that was given back rests: a host that was away may still send with it.
 */
export function* freeVnis(taken: Taken<number>, highest: number): Generator<number> {
  const start = Math.max(highest + 1, FIRST_ALLOCATED_VNI);
  for (let vni = start; vni <= VNI_MAX; vni++) if (!taken.has(vni)) yield vni;
  for (let vni = FIRST_ALLOCATED_VNI; vni < start && vni <= VNI_MAX; vni++) {
    if (!taken.has(vni)) yield vni;
  }
}

/**
 * The first candidate at the first attempt; after lost races any of the next ones, of ever more, so
 * that many hosts that want one at the same moment part ways.
 *
 * @param random from 0 to below 1
 */
export function pick<T>(
  candidates: Iterable<T>,
  attempt: number,
  random: () => number,
): T | undefined {
  const size = attempt === 0 ? 1 : Math.min(2 ** (attempt + 2), 256);
  const near: T[] = [];
  for (const candidate of candidates) {
    near.push(candidate);
    if (near.length === size) break;
  }
  return near[Math.floor(random() * near.length)];
}

function cidrOf(text: string): Cidr {
  const cidr = parseCidr(text);
  // Pools are checked by schema before they come here.
  if (cidr === undefined) throw new RangeError(`no subnet: ${text}`);
  return cidr;
}

/** First and last address from which containers get theirs. */
function spanOf(pool: Pool): readonly [bigint, bigint] {
  const hosts = hostsOf(cidrOf(pool.subnet));
  if (pool.range === undefined) return hosts;
  const range = boundsOf(cidrOf(pool.range));
  return [max(hosts[0], range[0]), min(hosts[1], range[1])];
}

/** Without the addresses that no host may have; a point-to-point subnet has none (RFC 3021, RFC 6164). */
function hostsOf(subnet: Cidr): readonly [bigint, bigint] {
  const [first, last] = boundsOf(subnet);
  if (last - first <= 1n) return [first, last];
  return [first + 1n, subnet.family === 4 ? last - 1n : last];
}

function boundsOf(subnet: Cidr): readonly [bigint, bigint] {
  const size = 1n << BigInt((subnet.family === 4 ? 32 : 128) - subnet.prefix);
  const first = (toNumber(subnet) / size) * size;
  return [first, first + size - 1n];
}

const max = (a: bigint, b: bigint) => (a > b ? a : b);
const min = (a: bigint, b: bigint) => (a < b ? a : b);
