// What the store holds: one JSON value for each key, every one with `version`. A value of another
// shape, or under a key that does not fit it, is garbage: reported, left alone, and as good as absent.
//
//   store                      which store this is: one that lost its contents gets another ID
//   hosts/VTEP                 a host; under its lease, so present = alive
//   networks/NAME              a network
//   vnis/VNI                   whose VNI it is
//   subnets/ADDRESS_PREFIX     whose automatic subnet it is
//   members/NAME/VTEP          a host on which Docker knows the network (local scope)
//   addresses/NAME/IP          who has the address
//   endpoints/NAME/ID          an attached container
//
// Only the host is under a lease: what belongs to a dead host counts no longer, but stays reserved
// for it, so that a host that was cut off for a minute finds its addresses still its own.

import * as z from 'zod';
import {
  cidr,
  hostAddress,
  list,
  mapping,
  name,
  oneOf,
  stationMac,
  subnet,
  udpPort,
} from '../config/leaf.js';
import { networkSchema, poolSchema } from '../config/networkSchema.js';
import { problemsOf } from '../config/problem.js';
import { problemText } from '../model/error.js';
import { isHostAddress, parseIp } from '../model/ip.js';
import type { Network, Pool } from '../model/network.js';
import { parseVni } from '../model/vni.js';

export const RECORD_VERSION = 1;

export interface StoreRecord {
  readonly version: typeof RECORD_VERSION;
  /** Random, made by the first host that finds none. */
  readonly id: string;
}

export interface HostRecord {
  readonly version: typeof RECORD_VERSION;
  /** Host name, for people. */
  readonly name: string;
  /** UDP port of its VTEP. */
  readonly port: number;
  /** Random, from its daemon's state directory: two machines with one VTEP address differ in it. */
  readonly machine: string;
  readonly lease: string;
}

export interface NetworkRecord {
  readonly version: typeof RECORD_VERSION;
  /** Random: a network that is removed and made again under its name is another one. */
  readonly id: string;
  /** Its `ports`, `peers` and `fdb` are empty: they belong to hosts. */
  readonly network: Network;
  readonly pools: readonly Pool[];
  /**
   * Who ends it: `people` with `network rm`; `docker` by the last host on which Docker forgets it;
   * `docker-cluster` by the one `docker network rm` that Docker's own cluster store spreads.
   */
  readonly owner: 'people' | 'docker' | 'docker-cluster';
  /** Docker's NetworkID; only with `docker-cluster`, where it is the same on all hosts. */
  readonly docker_id?: string | undefined;
  /** Being removed: nobody attaches any more. */
  readonly removing?: true | undefined;
}

/** `vnis/` and `subnets/` */
export interface ClaimRecord {
  readonly version: typeof RECORD_VERSION;
  readonly network: string;
}

export interface MemberRecord {
  readonly version: typeof RECORD_VERSION;
  /** Docker's NetworkID on that host. */
  readonly docker_id: string;
}

/** `gateway` and `reserved` addresses are the network's and go with it; the others are a host's. */
export type AddressUse = 'endpoint' | 'gateway' | 'reserved';

export interface AddressRecord {
  readonly version: typeof RECORD_VERSION;
  /** VTEP of the host that took it. */
  readonly host: string;
  readonly use: AddressUse;
}

export interface EndpointRecord {
  readonly version: typeof RECORD_VERSION;
  /** VTEP of the host that it is on. */
  readonly host: string;
  readonly mac: string;
  /** With prefix length. */
  readonly addresses: readonly string[];
  /** Of the container, or of the port. */
  readonly name?: string | undefined;
  /** Other names under which containers of the network find it. */
  readonly aliases: readonly string[];
}

/** A record and where it stands. */
export type Item =
  | { readonly kind: 'store'; readonly record: StoreRecord }
  | { readonly kind: 'host'; readonly vtep: string; readonly record: HostRecord }
  | { readonly kind: 'network'; readonly network: string; readonly record: NetworkRecord }
  | { readonly kind: 'vni'; readonly vni: number; readonly record: ClaimRecord }
  | { readonly kind: 'subnet'; readonly subnet: string; readonly record: ClaimRecord }
  | {
      readonly kind: 'member';
      readonly network: string;
      readonly vtep: string;
      readonly record: MemberRecord;
    }
  | {
      readonly kind: 'address';
      readonly network: string;
      readonly ip: string;
      readonly record: AddressRecord;
    }
  | {
      readonly kind: 'endpoint';
      readonly network: string;
      readonly id: string;
      readonly record: EndpointRecord;
    };

export interface Garbage {
  readonly kind: 'garbage';
  readonly why: string;
}

type AnyRecord = Item['record'];

/** Where each record stands. */
export const keys = {
  store: 'store',
  host: (vtep: string) => `hosts/${vtep}`,
  network: (network: string) => `networks/${network}`,
  vni: (vni: number) => `vnis/${vni}`,
  /** `subnet` as CIDR text. */
  subnet: (subnet: string) => `subnets/${subnet.replace('/', '_')}`,
  member: (network: string, vtep: string) => `members/${network}/${vtep}`,
  address: (network: string, ip: string) => `addresses/${network}/${ip}`,
  endpoint: (network: string, id: string) => `endpoints/${network}/${id}`,
} as const;

/** The value under a record's key. Equal records have equal text. */
export function encode(record: AnyRecord): string {
  return JSON.stringify(sorted(record));
}

/** Reads what stands under a key. Never throws. */
export function decode(key: string, value: string): Item | Garbage {
  const read = readerOf(key);
  if (read === undefined) return garbage('no record of ours has such a key');
  let raw: unknown;
  try {
    raw = JSON.parse(value);
  } catch {
    return garbage('it is no JSON');
  }
  return read(raw);
}

type Reader = (raw: unknown) => Item | Garbage;

/** `undefined`: no record has such a key. */
function readerOf(key: string): Reader | undefined {
  const [folder, first = '', ...rest] = key.split('/');
  const second = rest.join('/');
  switch (folder) {
    case 'store':
      return key === folder
        ? reader(storeSchema, (record) => ({ kind: 'store', record }))
        : undefined;
    case 'hosts':
      return isHost(key.slice(6))
        ? reader(hostSchema, (record) => ({ kind: 'host', vtep: key.slice(6), record }))
        : undefined;
    case 'networks':
      return isName(first) && rest.length === 0
        ? reader(networkRecordSchema, (record) => networkItem(first, record))
        : undefined;
    case 'vnis': {
      const vni = parseVni(first);
      return vni === undefined || rest.length > 0
        ? undefined
        : reader(claimSchema, (record) => ({ kind: 'vni', vni, record }));
    }
    case 'subnets': {
      const text = first.replace('_', '/');
      return isSubnet(text) && rest.length === 0
        ? reader(claimSchema, (record) => ({ kind: 'subnet', subnet: text, record }))
        : undefined;
    }
    case 'members':
      return isName(first) && isHost(second)
        ? reader(memberSchema, (record) => ({
            kind: 'member',
            network: first,
            vtep: second,
            record,
          }))
        : undefined;
    case 'addresses':
      return isName(first) && isHost(second)
        ? reader(addressSchema, (record) => ({
            kind: 'address',
            network: first,
            ip: second,
            record,
          }))
        : undefined;
    case 'endpoints':
      return isName(first) && second !== ''
        ? reader(endpointSchema, (record) => ({
            kind: 'endpoint',
            network: first,
            id: second,
            record,
          }))
        : undefined;
    default:
      return undefined;
  }
}

function reader<T>(schema: z.ZodType<T>, place: (record: T) => Item | Garbage): Reader {
  return (raw) => {
    const { data, error } = schema.safeParse(raw);
    if (error !== undefined) {
      return garbage(problemsOf(error.issues, raw).slice(0, 3).map(problemText).join('; '));
    }
    return place(data);
  };
}

function networkItem(network: string, record: NetworkRecord): Item | Garbage {
  const { network: settings } = record;
  if (settings.name !== network) return garbage(`its network is called ${settings.name}`);
  if (settings.ports.length + settings.peers.length + settings.fdb.length > 0) {
    return garbage('its network has ports, peers or FDB entries');
  }
  return { kind: 'network', network, record };
}

/** What others wrote may be of any length; its reason is for logs. */
function garbage(why: string): Garbage {
  return { kind: 'garbage', why: why.length > 300 ? `${why.slice(0, 297)}...` : why };
}

/** Whether records can have it as the name of something. */
export function isWord(text: string): boolean {
  return word().safeParse(text).success;
}

const isName = (text: string) => nameSchema.safeParse(text).success;

/** Only canonical text, so that one thing has one key. */
function isHost(text: string): boolean {
  const ip = parseIp(text);
  return ip !== undefined && ip.address === text && isHostAddress(ip);
}

function isSubnet(text: string): boolean {
  return subnetSchema.safeParse(text).data === text;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

const nameSchema = name();
const subnetSchema = subnet();
const version = z.literal(RECORD_VERSION, { error: String(RECORD_VERSION) });
const WORD = 'text of 1-255 characters without spaces';
/** It is shown on terminals and written into files of hosts: no control characters either. */
const word = () => z.string({ error: WORD }).regex(/^[^\s\p{C}]{1,255}$/u, { error: WORD });

const storeSchema = mapping({ version, id: word() }) satisfies z.ZodType<StoreRecord>;

const hostSchema = mapping({
  version,
  name: word(),
  port: udpPort(),
  machine: word(),
  lease: word(),
}) satisfies z.ZodType<HostRecord>;

const networkRecordSchema = mapping({
  version,
  id: word(),
  network: networkSchema,
  pools: list(poolSchema, 'pools'),
  owner: oneOf('people', 'docker', 'docker-cluster'),
  docker_id: word().optional(),
  removing: z.literal(true, { error: 'true' }).optional(),
}) satisfies z.ZodType<NetworkRecord>;

const claimSchema = mapping({ version, network: name() }) satisfies z.ZodType<ClaimRecord>;

const memberSchema = mapping({ version, docker_id: word() }) satisfies z.ZodType<MemberRecord>;

const addressSchema = mapping({
  version,
  host: hostAddress(),
  use: oneOf('endpoint', 'gateway', 'reserved'),
}) satisfies z.ZodType<AddressRecord>;

const endpointSchema = mapping({
  version,
  host: hostAddress(),
  mac: stationMac(),
  addresses: list(cidr(), 'addresses with prefix length'),
  name: word().optional(),
  aliases: list(word(), 'names'),
}) satisfies z.ZodType<EndpointRecord>;
