// Networks of an older state file, in which they were this host's own, go to the store.

import type { Logger } from 'pino';
import { SwitchError } from '../model/error.js';
import { type RuntimeState, type SharedNetwork, withoutParts } from '../store/runtimeState.js';
import type { Sharing } from './shared.js';

/**
 * The state without those that the store has now. Never throws: what the store does not take waits for the next
 * start. Once it is away it is asked no more: the switch waits for this.
 */
export async function handedOver(
  runtime: RuntimeState,
  sharing: Sharing,
  log: Logger,
): Promise<RuntimeState> {
  const unshared: SharedNetwork[] = [];
  let isAway = false;
  for (const item of runtime.unshared) {
    const { network, pools } = item;
    if (isAway) {
      unshared.push(item);
      continue;
    }
    try {
      await sharing.joinNetwork({ network: withoutParts(network), pools, owner: 'people' });
      log.info({ network: network.name }, 'network moved from the state file into the store');
    } catch (error) {
      isAway = error instanceof SwitchError && error.code.startsWith('STORE_');
      unshared.push(item);
      const told = { network: network.name, error: (error as Error).message };
      log.error(told, 'network not moved from the state file into the store');
    }
  }
  return unshared.length === runtime.unshared.length ? runtime : { ...runtime, unshared };
}
