// The `store` setting: where hosts share networks. A URL, or a mapping with the URL and what it takes to
// be let in. Secrets stand in files of their own, so that no command line and no `status` shows them.

import * as z from 'zod';
import { filePath, flag, mapping } from './leaf.js';

export interface LocalStoreSettings {
  readonly kind: 'local';
  readonly url: 'local';
}

export interface RemoteStore {
  readonly kind: 'etcd' | 'consul';
  /** As it was written; it holds no credentials. */
  readonly url: string;
  /** `host:port`, IPv6 in brackets; several only for etcd. */
  readonly addresses: readonly string[];
  /** Of all keys; neither begins nor ends with a slash. */
  readonly prefix: string;
  readonly tls: boolean;
  readonly user?: string | undefined;
  readonly password_file?: string | undefined;
  readonly token_file?: string | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export type StoreSettings = LocalStoreSettings | RemoteStore;

export const DEFAULT_PREFIX = 'vswitchd';
const DEFAULT_PORTS = { etcd: 2379, consul: 8500 };

const URL_ALLOWED =
  'local, etcd://HOST:2379,HOST2:2379/PREFIX, or consul://HOST:8500/PREFIX (without user and password)';

const URL_PATTERN = /^(etcd|consul):\/\/([^/]+)(?:\/(.*))?$/;
const PREFIX_PATTERN = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/;
const HOST_PATTERN = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/;

type Place = LocalStoreSettings | Pick<RemoteStore, 'kind' | 'url' | 'addresses' | 'prefix'>;

/** `undefined`: it is no such URL. */
function placeOf(url: string): Place | undefined {
  if (url === 'local') return { kind: 'local', url };
  const [, kind, hosts = '', path = ''] = URL_PATTERN.exec(url) ?? [];
  if (kind !== 'etcd' && kind !== 'consul') return undefined;
  const addresses = hosts.split(',').map((host) => addressOf(host, DEFAULT_PORTS[kind]));
  const known = addresses.filter((address) => address !== undefined);
  const prefix = path.replace(/\/$/, '') || DEFAULT_PREFIX;
  if (known.length < addresses.length || !PREFIX_PATTERN.test(prefix)) return undefined;
  if (kind === 'consul' && known.length > 1) return undefined;
  return { kind, url, addresses: known, prefix };
}

function addressOf(host: string, defaultPort: number): string | undefined {
  const [, name, port = defaultPort] = HOST_PATTERN.exec(host) ?? [];
  const isPort = Number(port) >= 1 && Number(port) <= 65535;
  return name === undefined || !isPort ? undefined : `${name}:${Number(port)}`;
}

const urlSchema = z.string({ error: URL_ALLOWED }).transform((url, context): Place => {
  const place = placeOf(url);
  if (place !== undefined) return place;
  context.issues.push({ code: 'custom', input: url, message: URL_ALLOWED });
  return z.NEVER;
});

const mappingSchema = mapping({
  url: urlSchema,
  user: z.string({ error: 'a user name' }).min(1, { error: 'a user name' }).optional(),
  password_file: filePath().optional(),
  token_file: filePath().optional(),
  tls: flag().optional(),
  ca: filePath().optional(),
  cert: filePath().optional(),
  key: filePath().optional(),
}).transform(({ url: place, ...rest }, context): StoreSettings => {
  const refuse = (key: keyof typeof rest, message: string) =>
    context.issues.push({ code: 'custom', path: [key], input: rest[key], message });
  for (const key of ['user', 'password_file', 'token_file', 'tls', 'ca', 'cert', 'key'] as const) {
    const kinds = KINDS[key];
    if (rest[key] !== undefined && !kinds.some((kind) => kind === place.kind)) {
      refuse(key, `nothing here: it is for ${kinds.join(' and ')}`);
    }
  }
  if (place.kind === 'local') return place;
  requirePair(rest, ['user', 'password_file'], refuse);
  requirePair(rest, ['cert', 'key'], refuse);
  const isTls = rest.tls ?? (rest.ca ?? rest.cert) !== undefined;
  if (!isTls && (rest.ca ?? rest.cert) !== undefined) refuse('tls', 'true, because of ca or cert');
  return { ...place, ...rest, tls: isTls };
});

const KINDS = {
  user: ['etcd'],
  password_file: ['etcd'],
  token_file: ['consul'],
  tls: ['etcd', 'consul'],
  ca: ['etcd', 'consul'],
  cert: ['etcd', 'consul'],
  key: ['etcd', 'consul'],
} as const;

function requirePair<K extends string>(
  values: { readonly [key in K]?: string | undefined },
  [one, other]: readonly [K, K],
  refuse: (key: K, message: string) => void,
): void {
  if (values[one] !== undefined && values[other] === undefined)
    refuse(other, `a path, beside ${one}`);
  if (values[one] === undefined && values[other] !== undefined)
    refuse(one, `a value, beside ${other}`);
}

/** Where hosts share networks. A text is also the value of `--store`. */
export const storeSchema = z.preprocess(
  (raw) => (typeof raw === 'string' ? { url: raw } : raw),
  mappingSchema,
);
