// What an installed vswitchd consists of, besides its addon.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './child.mjs';

/** The folders that `src` compiles to; `dist` holds more, as what tests keep there. */
export function compiledFolders() {
  return readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `dist/${name}`);
}

/** The folders of the packages that it imports when it runs, in the versions that the lock file has. */
export function importedPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const isImported = ([path, { dev, optional, devOptional }]) =>
    path !== '' && !dev && !optional && !devOptional;
  return Object.entries(packages)
    .filter(isImported)
    .map(([path]) => path);
}
