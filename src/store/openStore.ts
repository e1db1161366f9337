// The store that the settings name.

import type { StoreSettings } from '../config/storeSchema.js';
import { ConsulStore } from './consulStore.js';
import { EtcdStore } from './etcdStore.js';
import { openLocalStore, type Timer } from './localStore.js';
import type { Store } from './store.js';
import { readAccess } from './storeAccess.js';

export interface StoreParts {
  /** The file of a `local` store. */
  readonly path: string;
  /** For the leases of a `local` store; otherwise the system's. */
  readonly timer?: Timer;
}

/**
 * Reaches for nothing on the network yet. `broken` tells that a local store's file was, and where it is now.
 * Throws CONFIG_UNREADABLE for a file that the settings name, STORE_DENIED for certificates that are none,
 * and as `openLocalStore`.
 */
export async function openStore(
  settings: StoreSettings,
  { path, timer }: StoreParts,
): Promise<{ readonly store: Store; readonly broken?: string }> {
  if (settings.kind === 'local') return await openLocalStore(path, timer);
  const access = await readAccess(settings);
  return { store: settings.kind === 'etcd' ? new EtcdStore(access) : new ConsulStore(access) };
}
