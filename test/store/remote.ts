import { storeSchema } from '../../src/config/storeSchema.js';
import { openStore } from '../../src/store/openStore.js';
import type { Store } from '../../src/store/store.js';
import type { Scope } from '../support/scope.js';

/** Opens what the `store` setting names, until the scope closes. */
export async function openRemote(scope: Scope, setting: unknown): Promise<Store> {
  const { store } = await openStore(storeSchema.parse(setting), { path: '/nowhere' });
  await scope.defer('store', () => store.close());
  return store;
}
