// Results of CNI plugins: CNI spec 1.1.0, "Success", and what older versions have instead.

import * as z from 'zod';
import { text, whole } from '../config/leaf.js';
import { parseCidr, parseIp } from '../model/ip.js';
import { CniError, CODES } from './cniError.js';
import { type CniVersion, isAtLeast } from './version.js';

/** Host bits stay. */
const cidrText = text('an address with prefix length such as 10.0.0.1/24', (raw) =>
  parseCidr(raw) === undefined ? undefined : raw,
);
const addressText = text('an address such as 10.0.0.1', (raw) =>
  parseIp(raw) === undefined ? undefined : raw,
);
const number = () => whole(0, 0xffff_ffff);

/** Beside destination and next hop only from 1.1.0 on. */
export const routeSchema = z.object({
  dst: cidrText,
  gw: addressText.optional(),
  mtu: number().optional(),
  advmss: number().optional(),
  priority: number().optional(),
  table: number().optional(),
  scope: whole(0, 255).optional(),
});
export type Route = z.output<typeof routeSchema>;

export const dnsSchema = z.looseObject({
  nameservers: z.array(z.string()).optional(),
  domain: z.string().optional(),
  search: z.array(z.string()).optional(),
  options: z.array(z.string()).optional(),
});
export type Dns = z.output<typeof dnsSchema>;

const interfaceSchema = z.object({
  name: z.string(),
  mac: z.string().optional(),
  mtu: z.int().optional(),
  sandbox: z.string().optional(),
});
export type Interface = z.output<typeof interfaceSchema>;

const ipSchema = z.object({
  address: cidrText,
  gateway: addressText.optional(),
  interface: z.int().optional(),
});
export type IpConfig = z.output<typeof ipSchema>;

const resultSchema = z.object({
  interfaces: z.array(interfaceSchema).nullish(),
  ips: z.array(ipSchema).nullish(),
  routes: z.array(routeSchema).nullish(),
  dns: dnsSchema.nullish(),
});

/** Of any version; `interface` of an address counts from 0 in `interfaces`. */
export interface Result {
  readonly interfaces: readonly Interface[];
  readonly ips: readonly IpConfig[];
  readonly routes: readonly Route[];
  readonly dns: Dns;
}

/** Reads what `origin` (`prevResult`, a plugin) gave; throws code 6. Addresses' old `version` is not needed. */
export function readResult(raw: unknown, origin: string): Result {
  const { data, error } = resultSchema.safeParse(raw);
  if (data === undefined) {
    throw new CniError(CODES.undecodable, `${origin} is no CNI result`, z.prettifyError(error));
  }
  return {
    interfaces: data.interfaces ?? [],
    ips: data.ips ?? [],
    routes: data.routes ?? [],
    dns: data.dns ?? {},
  };
}

/** The object of that version for standard output. */
export function formatResult(version: CniVersion, result: Result): object {
  const { interfaces, ips, routes, dns } = result;
  const isLatest = isAtLeast(version, '1.1.0');
  return {
    cniVersion: version,
    interfaces: interfaces.map(({ mtu, ...rest }) => ({
      ...rest,
      ...(isLatest && mtu !== undefined ? { mtu } : {}),
    })),
    ips: isAtLeast(version, '1.0.0')
      ? ips
      : ips.map((ip) => ({ version: ip.address.includes(':') ? '6' : '4', ...ip })),
    routes: isLatest
      ? routes
      : routes.map(({ dst, gw }) => ({ dst, ...(gw === undefined ? {} : { gw }) })),
    dns,
  };
}
