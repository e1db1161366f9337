// Completes package-lock.json with the optional packages of other platforms.
//
// npm leaves an optional package out of the lock when the registry it talks to does not have it, as mirrors that
// carry Linux packages alone do. `npm ci` then refuses the lock, there and everywhere. Each missing package has an
// exact version in its parent and its platform in its name, which is all that `npm ci` needs to accept it and,
// where the platform differs, to skip it. Run after every change of a dependency: `npm run lock`.
import { readFileSync, writeFileSync } from 'node:fs';

const lockFile = new URL('../package-lock.json', import.meta.url);
const systems = [
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'win32',
];
const processors = [
  'arm64',
  'arm',
  'ia32',
  'x64',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
];

/** The fields that a platform package's name stands for, in npm's order. */
function platformOf(name, dev) {
  const words = name.split('/').at(-1).split('-');
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  const libc = words.some((word) => word.startsWith('musl')) ? ['musl'] : [];
  return {
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(libc.length > 0 && { libc }),
    optional: true,
    ...(os.length > 0 && { os }),
  };
}

const lock = JSON.parse(readFileSync(lockFile, 'utf8'));
const added = {};
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = path === '' ? '' : `${path}/`;
    if (lock.packages[`node_modules/${name}`] || lock.packages[`${nested}node_modules/${name}`])
      continue;
    if (!/^\d+\.\d+\.\d+$/.test(version))
      throw new Error(`${name}: ${version} is not an exact version`);
    added[`node_modules/${name}`] = { version, ...platformOf(name, entry.dev === true) };
  }
}
const packages = Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) =>
  a < b ? -1 : 1,
);
writeFileSync(
  lockFile,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`,
);
console.log(`package-lock.json: ${Object.keys(added).length} packages of other platforms added`);
