// From --subnet, --gateway and --range to the pools of a network.

import type { AddNetworkBody } from '../control/client.js';
import { contains, type Family, parseCidr, parseIp } from '../model/ip.js';

export interface PoolOptions {
  /** CIDR text, or `auto`. */
  readonly subnet: readonly string[];
  readonly gateway: readonly string[];
  readonly range: readonly string[];
}

type Pools = NonNullable<AddNetworkBody['pools']>;

/** Each gateway and range goes to the subnet around it. `refuse` is told, in a sentence, what cannot be. */
export function poolsOf(
  { subnet, gateway, range }: PoolOptions,
  refuse: (why: string) => never,
): Pools | undefined {
  if (subnet.includes('auto')) {
    if (subnet.length + gateway.length + range.length > 1) {
      refuse('--subnet auto stands alone');
    }
    return 'auto';
  }
  const left = new Set([...gateway, ...range]);
  const pools = subnet.map((text) => {
    const around = parseCidr(text);
    const within = (texts: readonly string[], read: (text: string) => Parsed | undefined) => {
      const found = texts.find((item) => {
        const ip = read(item);
        return around !== undefined && ip !== undefined && contains(around, ip);
      });
      if (found !== undefined) left.delete(found);
      return found;
    };
    const own = within(gateway, parseIp);
    const part = within(range, parseCidr);
    return { subnet: text, ...(own && { gateway: own }), ...(part && { range: part }) };
  });
  const [stray] = left;
  if (stray !== undefined) refuse(`${stray} is in no --subnet`);
  return pools.length === 0 ? undefined : pools;
}

interface Parsed {
  readonly family: Family;
  readonly address: string;
}
