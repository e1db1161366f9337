// The linker with which the addon runs on glibc 2.17 and newer, whatever glibc the building machine has: napi-rs's
// gcc with the sysroot of that glibc, from npm.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { SetupError } from './child.mjs';

/** The toolchains that run on x64, by the processor that they link for. `sha512` is of the package, in base64. */
const toolchains = {
  x64: {
    triple: 'x86_64-unknown-linux-gnu',
    npm: '@napi-rs/cross-toolchain-x64-target-x86_64@1.0.0',
    sha512:
      'lecoghCfoTAX9MLFcIx9/nL9M8xdkZ9n8Pki8qjKUNzjiq1zbECdEbzIZAMMHRtrXxifK9dAyYuh8gSxNbr2og==',
  },
  arm64: {
    triple: 'aarch64-unknown-linux-gnu',
    npm: '@napi-rs/cross-toolchain-x64-target-aarch64@1.0.3',
    sha512:
      'EMFcy/ahFsmCY3BI1tMC3wRUYZ+cDuILg7nP1micaKXW1tO1+RvUB1CC6QYe+cv2W4Tuz9wr3qcFExWyjgWf2w==',
  },
};

/**
 * The toolchain for `processor` (as `process.arch` has it): `{ triple, folder, env, strip, isThere() }`, `env` for cargo, `strip` the
 * program. Undefined where none runs: on other machines than x64 with glibc, and for other processors than x64 and arm64. It lies in the user's
 * cache, so that every checkout has it.
 */
export function glibcToolchain(processor) {
  const { glibcVersionRuntime } = process.report.getReport().header;
  const made = toolchains[processor];
  if (process.arch !== 'x64' || glibcVersionRuntime === undefined || made === undefined)
    return undefined;
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const folder = join(cache, 'vswitchd', made.npm.replaceAll(/[@/]+/g, '-').slice(1));
  const linker = join(folder, 'bin', `${made.triple}-gcc`);
  return {
    triple: made.triple,
    folder,
    env: { [`CARGO_TARGET_${made.triple.toUpperCase().replaceAll('-', '_')}_LINKER`]: linker },
    strip: join(folder, 'bin', `${made.triple}-strip`),
    isThere: () => existsSync(linker),
  };
}

/**
 * Fetches the toolchain for `processor` with npm. Where that fails, as without a network, it says so and goes on: then
 * the addon is linked as this machine links.
 */
export function fetchToolchain(processor = process.arch) {
  const toolchain = glibcToolchain(processor);
  return {
    title: `Fetching the linker for ${processor} and glibc 2.17 (50 MB, once)`,
    isFresh: () => toolchain === undefined || toolchain.isThere(),
    work: async (command) => {
      try {
        await unpack(toolchains[processor], toolchain.folder, command);
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        process.stderr.write(
          `${error.message}\n  Without it the addon runs on systems with this machine's glibc or a newer one only.\n`,
        );
      }
    },
  };
}

async function unpack({ npm, sha512, triple }, folder, command) {
  mkdirSync(dirname(folder), { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  try {
    await command('npm', ['pack', npm, '--fetch-retries=1', '--pack-destination', fresh]);
    const archive = join(fresh, readdirSync(fresh)[0]);
    const found = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (found !== sha512)
      throw new SetupError(`${npm} is not what it was: its SHA-512 is ${found}.`);
    const inner = `package/${triple}.tar.xz`;
    await command('tar', ['-xzf', archive, '-C', fresh, inner]);
    mkdirSync(join(fresh, 'toolchain'));
    await command('tar', ['-xJf', join(fresh, inner), '-C', join(fresh, 'toolchain')]);
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(fresh, 'toolchain'), folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
