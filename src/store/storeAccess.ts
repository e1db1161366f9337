// What it takes to be let in to a store of several hosts, secrets included: never printed, never stored.

import { readFile } from 'node:fs/promises';
import type { RemoteStore } from '../config/storeSchema.js';
import { SwitchError } from '../model/error.js';

export interface StoreAccess {
  /** The URL without credentials. */
  readonly name: string;
  /** `host:port`, IPv6 in brackets; at least one. */
  readonly addresses: readonly string[];
  /** Of all keys; neither begins nor ends with a slash. */
  readonly prefix: string;
  readonly user?: { readonly name: string; readonly password: string };
  readonly token?: string;
  /** Absent: no TLS. Without `ca` the system's authorities are trusted. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
}

/** Reads the files that the settings name. Throws CONFIG_UNREADABLE. */
export async function readAccess(settings: RemoteStore): Promise<StoreAccess> {
  const { url, addresses, prefix, user, tls } = settings;
  const [password, token, ca, cert, key] = await Promise.all(
    [settings.password_file, settings.token_file, settings.ca, settings.cert, settings.key].map(
      (path) => (path === undefined ? undefined : read(path)),
    ),
  );
  return {
    name: url,
    addresses,
    prefix,
    ...(user !== undefined && { user: { name: user, password: secretOf(password) } }),
    ...(token !== undefined && { token: secretOf(token) }),
    ...(tls && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
  };
}

/** Whether that is what TLS libraries say when a certificate, theirs or ours, is not accepted. */
export function isUntrusted(text: string): boolean {
  return /certificate|altname|self[-_ ]signed|\balert\b|SSL routines/i.test(text);
}

/** Editors end a file with a newline, which is no part of the secret. */
function secretOf(content: Buffer | undefined): string {
  return content?.toString('utf8').replace(/\r?\n$/, '') ?? '';
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new SwitchError('CONFIG_UNREADABLE', path, { detail: (error as Error).message });
  }
}
