// Networks of an older state file, in which they were this host's own, go to the store.

import type { Logger } from 'pino';
import { SwitchError } from '../model/error.js';
import { type RuntimeState, type SharedNetwork, withoutParts } from '../store/runtimeState.js';
import type { Sharing } from './shared.js';

/** The state without those that the store has now. Never throws: with the store away they wait for the next start. */
export async function handedOver(
  runtime: RuntimeState,
  sharing: Sharing,
  log: Logger,
): Promise<RuntimeState> {
  const unshared: SharedNetwork[] = [];
  for (const item of runtime.unshared) {
    const { network, pools } = item;
    try {
      await sharing.joinNetwork({ network: withoutParts(network), pools, owner: 'people' });
      log.info({ network: network.name }, 'network moved from the state file into the store');
    } catch (error) {
      const isAway = error instanceof SwitchError && error.code.startsWith('STORE_');
      if (isAway) unshared.push(item);
      const told = { network: network.name, error: (error as Error).message };
      log.error(told, isAway ? 'network not moved into the store yet' : 'network left out');
    }
  }
  return unshared.length === runtime.unshared.length ? runtime : { ...runtime, unshared };
}
