// What dockerd sends, as far as we look at it: libnetwork's remote driver and remote IPAM protocols,
// Docker 1.9 to now. Unknown keys are ignored; Go's `null` stands for an empty list or map.

import * as z from 'zod';

/** 64 hex digits, or 25 base-36 ones of a swarm. */
const id = z.string().regex(/^[0-9A-Za-z]{10,128}$/, { error: 'an ID of Docker' });

const textOrNone = z
  .string()
  .nullish()
  .transform((text) => text || undefined);
const listOf = <S extends z.ZodType>(of: S) =>
  z
    .array(of)
    .nullish()
    .transform((list) => list ?? []);
const mapOf = <S extends z.ZodType>(of: S) =>
  z
    .record(z.string(), of)
    .nullish()
    .transform((map) => map ?? {});

/** One subnet of a network: which address space its pool is of, and what that pool's IPAM said. */
const ipamData = z.object({ AddressSpace: textOrNone, Pool: z.string(), Gateway: textOrNone });
export type IpamData = z.output<typeof ipamData>;

export const nothing = z.unknown();

export const createNetwork = z.object({
  NetworkID: id,
  Options: z
    .object({ 'com.docker.network.generic': mapOf(z.unknown()) })
    .nullish()
    .transform((options) => options?.['com.docker.network.generic'] ?? {}),
  IPv4Data: listOf(ipamData),
  IPv6Data: listOf(ipamData),
});
export type CreateNetwork = z.output<typeof createNetwork>;

export const ofNetwork = z.object({ NetworkID: id });

export const ofEndpoint = z.object({ NetworkID: id, EndpointID: id });
export type OfEndpoint = z.output<typeof ofEndpoint>;

export const createEndpoint = ofEndpoint.extend({
  Interface: z
    .object({ Address: textOrNone, AddressIPv6: textOrNone, MacAddress: textOrNone })
    .nullish(),
});
export type CreateEndpoint = z.output<typeof createEndpoint>;

export const join = ofEndpoint.extend({ SandboxKey: z.string().min(1) });
export type Join = z.output<typeof join>;

export const requestPool = z.object({
  Pool: textOrNone,
  SubPool: textOrNone,
  Options: mapOf(z.string()),
  V6: z
    .boolean()
    .nullish()
    .transform((v6) => v6 ?? false),
});
export type RequestPool = z.output<typeof requestPool>;

export const ofPool = z.object({ PoolID: z.string().min(1) });

export const requestAddress = ofPool.extend({ Address: textOrNone, Options: mapOf(z.string()) });
export type RequestAddress = z.output<typeof requestAddress>;

export const releaseAddress = ofPool.extend({ Address: z.string() });
export type ReleaseAddress = z.output<typeof releaseAddress>;
