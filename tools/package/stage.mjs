// What goes into the packages: the folders that npm packs, and the one that the tarball holds.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../setup/child.mjs';
import { filesBelow } from '../setup/stamp.mjs';

/** What the set-up keeps in dist/ for itself, and what only compilers and debuggers read. */
const notShipped = /^dist\/(\.stamps|native|conformance)\/|\.d\.ts$|\.map$/;
const shipped = [
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'packaging',
  'tools/package/buildAddon.mjs',
];
const sources = ['native/Cargo.toml', 'native/Cargo.lock', 'native/binding', 'native/datapath'];

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The name of the npm package with the addon for this processor, on glibc. */
export const platformPackage = `${manifest.name}-linux-${process.arch}-gnu`;

/** The package that users install: everything but the addon, and the addon's sources. No install script. */
export function stageProgram(folder) {
  const files = [...filesBelow(root, 'dist').filter((file) => !notShipped.test(file)), ...shipped];
  for (const path of [...files, ...sources.flatMap((source) => filesBelow(root, source))]) {
    copy(join(root, path), join(folder, path));
  }
  for (const program of Object.values(manifest.bin)) chmodSync(join(folder, program), 0o755);
  const { name, version, description, license, type, engines, bin, dependencies } = manifest;
  writeJson(join(folder, 'package.json'), {
    ...{ name, version, description, license, type, engines, os: ['linux'], bin },
    man: ['dist/man/vswitchd.8', 'dist/man/vswitchctl.8'],
    scripts: { build: 'node tools/package/buildAddon.mjs' },
    dependencies,
    optionalDependencies: { ...manifest.optionalDependencies, [platformPackage]: version },
  });
}

/** The package with the addon alone, which npm installs where it fits. */
export function stageAddon(folder, addon) {
  copy(addon, join(folder, 'vswitchd.node'));
  copy(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const { version, license, engines } = manifest;
  const fits = { os: ['linux'], cpu: [process.arch], libc: ['glibc'] };
  const description = `The native part of ${manifest.name}, for glibc 2.17 and newer`;
  writeJson(join(folder, 'package.json'), {
    ...{ name: platformPackage, version, description, license, engines, ...fits },
    main: 'vswitchd.node',
  });
}

/** Everything but Node in one folder: program, addon, packages it imports, and programs to call in `bin/`. */
export function stageTree(folder, addon) {
  stageProgram(folder);
  copy(addon, join(folder, 'dist/native/vswitchd.node'));
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  for (const [path, { dev, devOptional, optional }] of Object.entries(packages)) {
    if (path === '' || dev || devOptional || optional) continue;
    const nested = join(root, path, 'node_modules');
    const filter = (source) => source !== nested;
    cpSync(join(root, path), join(folder, path), { recursive: true, filter });
  }
  for (const [name, program] of Object.entries(manifest.bin)) {
    const path = join(folder, 'bin', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, wrapper(program), { mode: 0o755 });
  }
}

/** Works through symbolic links, so that one in PATH is enough. */
function wrapper(program) {
  return `#!/bin/sh\nexec node "$(dirname "$(readlink -f "$0")")/../${program}" "$@"\n`;
}

function copy(from, to) {
  if (!existsSync(from)) throw new Error(`${from} is missing`);
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to, { recursive: true });
}

function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
