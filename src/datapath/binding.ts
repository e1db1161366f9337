// Loads the addon, alone in the program. It is built into `dist/native`, whether this module runs
// from `dist` or (under vitest) from `src`.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { SwitchError } from '../model/error.js';
import type { Addon } from './seam.js';

const places = ['../native/vswitchd.node', '../../dist/native/vswitchd.node'];

/**
 * Loads the addon. Main thread only: thread-safe functions and worker_threads crash Node together.
 * Throws NO_ADDON.
 */
export function loadAddon(): Addon {
  const paths = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const path = paths.find((candidate) => existsSync(candidate)) ?? paths[0] ?? '';
  try {
    return createRequire(import.meta.url)(path) as Addon;
  } catch (error) {
    throw new SwitchError('NO_ADDON', path, { detail: (error as Error).message.split('\n', 1)[0] });
  }
}
