// The npm packages of package-lock.json.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from './child.mjs';

/** `node_modules` as package-lock.json says. npm notes what it installed in `node_modules/.package-lock.json`. */
export function npmPackages() {
  return {
    title: 'Installing npm packages',
    isFresh: () => {
      const installed = packagesOf('node_modules/.package-lock.json');
      return Object.entries(packagesOf('package-lock.json')).every(
        ([path, wanted]) =>
          path === '' ||
          (installed[path]?.version ?? (wanted.optional ? wanted.version : undefined)) ===
            wanted.version,
      );
    },
    work: (command) => command('npm', ['ci', '--no-audit', '--no-fund']),
  };
}

/** A package with an addon that npm leaves unbuilt: where install scripts are switched off, or for being optional. */
export function addonPackage(name) {
  return {
    title: `Building ${name}`,
    isFresh: () => {
      try {
        createRequire(join(root, 'package.json'))(name);
        return true;
      } catch {
        return false;
      }
    },
    work: (command) => command('npm', ['explore', name, '--', 'node-gyp', 'rebuild']),
  };
}

function packagesOf(lockFile) {
  const path = join(root, lockFile);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : {};
}
