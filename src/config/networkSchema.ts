// The schema of a network with its ports, peers and FDB entries: the same in the file, in the API
// and in the state file. Defaults stand here and nowhere else.

import * as z from 'zod';
import { contains, isMulticast, parseCidr, parseIp } from '../model/ip.js';
import { isGroupMac, type Mac, parseMac } from '../model/mac.js';
import type { FdbStatic, MulticastGroup, Network, Peer, Pool, Port } from '../model/network.js';
import { VNI_MAX, VNI_MIN } from '../model/vni.js';
import { parseVtep } from '../model/vtep.js';
import {
  cidr,
  flag,
  hostAddress,
  ifname,
  list,
  MAC_PATTERN,
  mapping,
  name,
  oneOf,
  stationMac,
  subnet,
  text,
  tos,
  udpPort,
  whole,
} from './leaf.js';

/**
 * Smallest and largest MTU of a port: 68 is IPv4's least (RFC 791), 65485 leaves room for the
 * VXLAN overhead of 50 bytes in the largest IPv4 packet.
 */
export const MTU_MIN = 68;
export const MTU_MAX = 65535 - 50;

/** What the message says; VNI 0 is a matter of `allow_vni_zero`, which only the whole network knows. */
export const VNI_ALLOWED = `a VNI: a whole number ${VNI_MIN}-${VNI_MAX}`;
const vni = () =>
  z.int({ error: VNI_ALLOWED }).min(0, { error: VNI_ALLOWED }).max(VNI_MAX, { error: VNI_ALLOWED });
const mtu = () => whole(MTU_MIN, MTU_MAX, 'an MTU in bytes');

export const peerSchema = z.preprocess(
  (raw) => (typeof raw === 'string' ? (parseVtep(raw) ?? { address: raw }) : raw),
  mapping({ address: hostAddress(), port: udpPort().optional(), vni: vni().optional() }),
) satisfies z.ZodType<Peer>;

const fdbMac = () =>
  text(
    'a unicast MAC address such as "02:42:0a:00:00:01", or all zero for the flood list (in quotes)',
    (raw): Mac | undefined => {
      const mac = parseMac(raw);
      return mac !== undefined && !isGroupMac(mac) ? mac : undefined;
    },
    MAC_PATTERN,
  );

export const fdbSchema = mapping({
  mac: fdbMac(),
  vtep: hostAddress().optional(),
  port: name().optional(),
  local: z.literal(true, { error: 'true' }).optional(),
  vni: vni().optional(),
  udp_port: udpPort().optional(),
}) satisfies z.ZodType<FdbStatic>;

const netns = z
  .union([z.string().min(1), z.int().min(1)], { error: 'a namespace: name, path or process ID' })
  .transform(String);

export const portSchema = mapping({
  name: name(),
  kind: oneOf('tap', 'packet', 'memory').default('tap'),
  netns: netns.optional(),
  ifname: ifname().optional(),
  mac: stationMac().optional(),
  mtu: mtu().optional(),
  addresses: list(cidr(), 'addresses with prefix length').default([]),
  flood: flag().default(true),
  broadcast: flag().default(true),
  hairpin: flag().default(false),
  max_macs: whole(0, 1_048_576).default(1024),
}) satisfies z.ZodType<Port>;

/** Of a TAP that was handed over. */
export const ticketSchema = z.string().regex(/^[0-9a-f]{32}$/, {
  error: 'a ticket of 32 hexadecimal digits, as `--rootless` gets one',
});

const groupSchema = mapping({
  address: text('a multicast address', (raw) => {
    const ip = parseIp(raw);
    return ip !== undefined && isMulticast(ip) ? ip.address : undefined;
  }),
  interface: ifname(),
  ttl: whole(1, 255).default(1),
}) satisfies z.ZodType<MulticastGroup>;

const VLANS = 'discard, allow, or a list of VLAN IDs such as [7, "100-200"] (1-4094)';
const innerVlan = z
  .union([z.enum(['discard', 'allow']), z.array(z.union([z.int(), z.string()])).min(1)], {
    error: VLANS,
  })
  .refine(
    (value) => typeof value === 'string' || value.every((item) => vlanRange(item) !== undefined),
    {
      error: VLANS,
    },
  );

const reservedBitsMask = text(
  '16 hex digits in quotes, over the 8 header bytes, without the I flag and the VNI',
  (raw) => {
    if (!/^[0-9a-f]{16}$/i.test(raw)) return undefined;
    // The I flag and the VNI are no reserved bits (RFC 7348 section 5).
    return (BigInt(`0x${raw}`) & 0x0800_0000_ffff_ff00n) === 0n ? raw.toLowerCase() : undefined;
  },
);

export const poolSchema = mapping({
  subnet: subnet(),
  gateway: hostAddress().optional(),
  range: subnet().optional(),
}).refine(isWhole, { error: 'a gateway and a range within the subnet' }) satisfies z.ZodType<Pool>;

const POOLS = 'auto, or pools such as {subnet: 10.0.0.0/24}, at most one for each family';
const poolsSchema = z
  .union([z.literal('auto'), z.array(poolSchema).min(1)], { error: POOLS })
  .refine(
    (pools) =>
      pools === 'auto' ||
      new Set(pools.map((pool) => pool.subnet.includes(':'))).size === pools.length,
    { error: POOLS },
  );

const pcpTos = mapping({
  ...{ 0: tos().optional(), 1: tos().optional(), 2: tos().optional(), 3: tos().optional() },
  ...{ 4: tos().optional(), 5: tos().optional(), 6: tos().optional(), 7: tos().optional() },
});

const GROUP_FWD = 'bits 3-15 of 0-65535: 01:80:c2:00:00:00, 01 and 02 are never forwarded';

/** All settings but `vni`, which the API may leave to us. */
const settings = {
  name: name(),
  port: udpPort().optional(),
  subnet: subnet().optional(),
  up: flag().default(true),
  peers: list(peerSchema, 'VTEPs').default([]),
  open: flag().optional(),
  learning: flag().default(true),
  ageing: whole(0, 1_000_000, 'seconds (0 = never):').default(300),
  max_macs: whole(1, 1_048_576).default(16384),
  mac_limit: oneOf('refuse', 'evict-oldest').default('refuse'),
  strict_source: flag().default(true),
  unknown_unicast: oneOf('flood', 'drop').default('flood'),
  reserved_bits: oneOf('ignore', 'drop').default('ignore'),
  reserved_bits_mask: reservedBitsMask.default('0000000000000000'),
  inner_vlan: innerVlan.default('discard'),
  priority_tag: oneOf('strip', 'drop').default('strip'),
  group_fwd_mask: whole(0, 0xffff)
    .refine((mask) => (mask & 7) === 0, { error: GROUP_FWD })
    .default(0),
  pcp_tos: pcpTos.prefault({}),
  allow_vni_zero: flag().default(false),
  mss_clamp: oneOf('auto', 'off').default('auto'),
  neigh_suppress: oneOf('auto', 'off').default('auto'),
  port_security: oneOf('auto', 'off').default('auto'),
  mtu: mtu().optional(),
  group: groupSchema.optional(),
  fdb: list(fdbSchema, 'FDB entries').default([]),
  ports: list(portSchema, 'ports').default([]),
};

export const networkSchema = mapping({ ...settings, vni: vni() }) satisfies z.ZodType<Network>;

/**
 * A network to add: without `vni`, a free one is taken. `pools` says where addresses come from, `auto`
 * that one free IPv4 subnet is; `subnet` alone is the pool of that subnet.
 */
export const networkRequestSchema = mapping({
  ...settings,
  vni: vni().optional(),
  pools: poolsSchema.optional(),
});

function isWhole({ subnet: outer, gateway, range }: Pool): boolean {
  const around = parseCidr(outer);
  const inner = range === undefined ? undefined : parseCidr(range);
  const own = gateway === undefined ? undefined : parseIp(gateway);
  return (
    around !== undefined &&
    (own === undefined || contains(around, own)) &&
    (inner === undefined || (contains(around, inner) && inner.prefix >= around.prefix))
  );
}

/** The first and last VLAN ID of a list item; `undefined` when it is none. */
export function vlanRange(item: number | string): { first: number; last: number } | undefined {
  const match = /^([1-9]\d{0,3})(?:-([1-9]\d{0,3}))?$/.exec(String(item));
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= 4094 ? { first, last } : undefined;
}
