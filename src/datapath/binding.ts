// Loads the addon, alone in the program. Where it was built it is in `dist/native`, whether this module runs
// from `dist` or (under vitest) from `src`; where the program was installed it is a package for the platform.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { SwitchError } from '../model/error.js';
import type { Addon } from './seam.js';

const places = ['../native/vswitchd.node', '../../dist/native/vswitchd.node'];
/** Of the program: a checkout, npm's package or the unpacked tarball. */
const folder = fileURLToPath(new URL('../..', import.meta.url));
/** npm installs it where processor and C library are right. */
const platformPackage = () => `vswitchd-${process.platform}-${process.arch}-${libc()}`;

/**
 * Loads the addon: one that was built here, or else that of the platform's package. Main thread only: thread-safe
 * functions and worker_threads crash Node together. Throws NO_ADDON.
 */
export function loadAddon(): Addon {
  const built = places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((candidate) => existsSync(candidate));
  const addon = built ?? platformPackage();
  try {
    return createRequire(import.meta.url)(addon) as Addon;
  } catch (error) {
    const detail = (error as Error).message.split('\n', 1)[0];
    const fix = `build it, with Rust and a C compiler: \`npm run build --prefix ${folder}\``;
    throw new SwitchError('NO_ADDON', addon, { detail, fix });
  }
}

/** Node's report tells the version of glibc, where it runs with glibc. */
function libc(): 'gnu' | 'musl' {
  const { header } = process.report.getReport() as { readonly header: object };
  return 'glibcVersionRuntime' in header ? 'gnu' : 'musl';
}
