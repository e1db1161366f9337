// Addresses and MACs for ports: from the store where the network has pools, and given back.

import { randomBytes } from 'node:crypto';
import { SwitchError } from '../model/error.js';
import { parseCidr } from '../model/ip.js';
import { type Mac, parseMac } from '../model/mac.js';
import { hasInterface, type Port } from '../model/network.js';
import type { SharedNetwork } from '../store/runtimeState.js';
import { poolOf, withoutPrefix } from './endpoints.js';
import type { Sharing } from './shared.js';

type Wanted = Pick<Port, 'kind' | 'addresses' | 'mac'>;

export interface Addressed<P> {
  readonly port: P;
  /** What was reserved for it, without prefix length: release it when the port does not come to be. */
  readonly reserved: readonly string[];
}

/**
 * The port with a MAC, and with addresses as far as the network has pools: without addresses it gets one of
 * each family (not a packet port), and those that it asks for are reserved. With the store out of reach only the latter work: they
 * are reserved when it is back. Throws as `reserve` does; then nothing stays reserved.
 */
export async function addressed<P extends Wanted>(
  sharing: Sharing,
  { network, pools }: SharedNetwork,
  port: P,
): Promise<Addressed<P>> {
  if (!hasInterface(port)) return { port, reserved: [] };
  const reserved: string[] = [];
  const reserve = async (family: 4 | 6, address?: string) => {
    const given = await sharing.reserve(network.name, { family, address, use: 'endpoint' });
    reserved.push(withoutPrefix(given));
    return given;
  };
  try {
    const addresses = [...port.addresses];
    for (const address of addresses) {
      const cidr = parseCidr(address);
      if (cidr === undefined || poolOf(pools, address) === undefined) continue;
      await orLater(sharing, () => reserve(cidr.family, cidr.address));
    }
    // Who is behind an interface that is there already has addresses of its own.
    if (addresses.length === 0 && port.kind !== 'packet') {
      for (const { subnet } of pools) addresses.push(await reserve(subnet.includes(':') ? 6 : 4));
    }
    return { port: withMac({ ...port, addresses }), reserved };
  } catch (error) {
    await release(sharing, network.name, reserved);
    throw error;
  }
}

/** Never throws: what cannot be given back now is found free of endpoints later. */
export async function release(
  sharing: Sharing,
  network: string,
  addresses: readonly string[],
): Promise<void> {
  if (sharing.health.state !== 'connected') return;
  await Promise.allSettled(addresses.map((address) => sharing.release(network, address)));
}

/**
 * With a MAC. In a network of the store other hosts send nothing to this one, not even broadcast, unless they know of a
 * MAC on it; and a TAP that was handed over, which a restart ends, would come back with another one.
 */
export function withMac<P extends Wanted>(port: P): P {
  const mac = hasInterface(port) ? (port.mac ?? macFor(port.addresses)) : undefined;
  return mac === undefined ? port : { ...port, mac };
}

/** As Docker makes them: 02:42 and the bytes of the IPv4 address; without one, of chance. */
function macFor(addresses: readonly string[]): Mac | undefined {
  const v4 = addresses.map((address) => parseCidr(address)).find((cidr) => cidr?.family === 4);
  const bytes = v4 === undefined ? randomBytes(4) : Buffer.from(v4.address.split('.').map(Number));
  return parseMac(
    ['02', '42', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':'),
  );
}

/** What the store cannot do now is done when the port is announced. */
async function orLater(sharing: Sharing, reserve: () => Promise<unknown>): Promise<void> {
  if (sharing.health.state !== 'connected') return;
  try {
    await reserve();
  } catch (error) {
    if (!(error instanceof SwitchError) || error.code !== 'STORE_DOWN') throw error;
  }
}
