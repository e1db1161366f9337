import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { networkSchema } from '../../src/config/networkSchema.js';
import {
  emptyState,
  type RuntimeState,
  withoutNetwork,
  withoutParts,
  withPartsOf,
} from '../../src/store/runtimeState.js';
import { loadState, prepareState } from '../../src/store/stateFile.js';
import { network } from '../support/arbitrary.js';

async function saveState(path: string, state: RuntimeState): Promise<void> {
  await (await prepareState(path, state)).commit();
}

const state = fc
  .uniqueArray(network, { maxLength: 4, selector: (item) => item.name })
  .map((networks) => {
    const parsed = networks.map((item) => networkSchema.parse(item));
    const remembered = parsed.map((item) => ({ network: withoutParts(item), pools: [] }));
    return parsed.reduce<RuntimeState>(withPartsOf, { ...emptyState, remembered });
  });

it('what is saved is what is loaded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'x.state.json');
  await fc.assert(
    fc.asyncProperty(state, async (value) => {
      await saveState(path, value);
      // JSON has no `undefined`; absent and undefined are one to us.
      expect(await loadState(path, new Date(0))).toEqual({ state: value });
    }),
    { numRuns: 50 },
  );
});

it('networks removed leave nothing behind', () => {
  fc.assert(
    fc.property(state, (value) => {
      const names = value.remembered.map((item) => item.network.name);
      expect(names.reduce(withoutNetwork, value)).toEqual(emptyState);
    }),
  );
});
