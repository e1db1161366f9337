// What goes into the packages: the folders that npm packs, and the one that the tarball holds.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { root } from '../setup/child.mjs';
import { compiledFolders, importedPackages } from '../setup/product.mjs';
import { filesBelow } from '../setup/stamp.mjs';

/** What only compilers and debuggers read. */
const neverRun = /\.[cm]?ts$|\.map$/;
const shipped = [
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'packaging',
  'tools/package/buildAddon.mjs',
];
const sources = ['native/Cargo.toml', 'native/Cargo.lock', 'native/binding', 'native/datapath'];
const testSources = /^native\/datapath\/(tests|benches)\/|[/_]tests\.rs$/;
/** In packages that are imported: what their own developers read. */
const developersFolders = new Set(['test', 'tests', 'bench', 'benchmark', 'benchmarks', 'docs']);

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The platform that `target` is for, as in the names of npm's packages: `linux-x64-gnu`. */
export function platformOf({ processor }) {
  return `linux-${processor}-gnu`;
}

/**
 * The package that users install: everything but the addon, and the addon's sources. The packages that it imports are
 * inside; it asks for the addon of each of `targets`, of which npm installs what fits. No install script.
 */
export function stageProgram(folder, targets) {
  const own = [...compiledFolders(), 'dist/man']
    .flatMap((part) => filesBelow(root, part))
    .filter((file) => !neverRun.test(file));
  const native = sources
    .flatMap((source) => filesBelow(root, source))
    .filter((file) => !testSources.test(file));
  for (const path of [...own, ...shipped, ...native]) copy(join(root, path), join(folder, path));
  withoutBenches(join(folder, 'native/datapath/Cargo.toml'));
  for (const program of Object.values(manifest.bin)) chmodSync(join(folder, program), 0o755);
  const { name, version, description, license, type, engines, bin, dependencies } = manifest;
  const addons = targets.map((target) => [`${name}-${platformOf(target)}`, version]);
  writeJson(join(folder, 'package.json'), {
    ...{ name, version, description, license, type, engines, os: ['linux'], bin },
    man: ['dist/man/vswitchd.8', 'dist/man/vswitchctl.8'],
    scripts: { build: 'node tools/package/buildAddon.mjs' },
    dependencies,
    bundleDependencies: Object.keys(dependencies),
    optionalDependencies: { ...manifest.optionalDependencies, ...Object.fromEntries(addons) },
  });
  stageImported(folder);
}

/** The package with the addon alone, which npm installs where it fits. */
export function stageAddon(folder, addon, target) {
  copy(addon, join(folder, 'vswitchd.node'));
  copy(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const { version, license, engines } = manifest;
  const fits = { os: ['linux'], cpu: [target.processor], libc: ['glibc'] };
  const description = `The native part of ${manifest.name}, for glibc 2.17 and newer`;
  const name = `${manifest.name}-${platformOf(target)}`;
  writeJson(join(folder, 'package.json'), {
    ...{ name, version, description, license, engines, ...fits },
    main: 'vswitchd.node',
  });
}

/** Everything but Node in one folder: `program` as staged, addon, and programs to call in `bin/`. */
export function stageTree(folder, program, addon) {
  copy(program, folder);
  copy(addon, join(folder, 'dist/native/vswitchd.node'));
  for (const [name, path] of Object.entries(manifest.bin)) {
    mkdirSync(join(folder, 'bin'), { recursive: true });
    writeFileSync(join(folder, 'bin', name), wrapper(path), { mode: 0o755 });
  }
}

/** The packages that the program imports, in the versions that were tested: `overrides` count for nobody who installs it. */
function stageImported(folder) {
  for (const path of importedPackages()) copyImported(join(root, path), join(folder, path));
}

/** A package without those inside it, which come by themselves. */
function copyImported(from, to) {
  const left = (source) =>
    source === join(from, 'node_modules') ||
    neverRun.test(source) ||
    (dirname(source) === from && developersFolders.has(basename(source)));
  cpSync(from, to, { recursive: true, filter: (source) => !left(source) });
}

/** cargo reads no manifest that names a benchmark which is not there. */
function withoutBenches(file) {
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replaceAll(/\n\[\[bench\]\]\n(.+\n)*/g, ''));
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
