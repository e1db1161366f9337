// What there are packages with an addon for, and how each is compiled: processor and C library.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './child.mjs';
import { requireCargo } from './native.mjs';
import { fetchToolchain, glibcToolchain } from './toolchain.mjs';

const folder = 'native/target/released';

/**
 * The targets that this machine can compile for: `{ processor, libc, triple, env, strip }`, `libc` as npm has it
 * (glibc or musl), `env` for cargo, `strip` the program. On x64 with glibc these are three; elsewhere it is the
 * machine itself, with its own linker and its own glibc.
 */
export function releasedTargets() {
  const processors = ['x64', 'arm64'].filter((one) => glibcToolchain(one) !== undefined);
  if (processors.length === 0) {
    const triple = undefined;
    return [{ processor: process.arch, libc: 'glibc', triple, env: samePaths(), strip: 'strip' }];
  }
  const glibc = processors.map((processor) => {
    const { triple, env, strip } = glibcToolchain(processor);
    return { processor, libc: 'glibc', triple, env: { ...env, ...samePaths() }, strip };
  });
  return [...glibc, musl];
}

const musl = {
  processor: 'x64',
  libc: 'musl',
  triple: 'x86_64-unknown-linux-musl',
  env: {
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER: 'musl-gcc',
    // Addons are loaded, so they must share the C library of who loads them.
    ...samePaths('-Ctarget-feature=-crt-static'),
  },
  strip: 'strip',
};

/** The steps of the set-up without which `target` cannot be compiled. */
export function targetSteps({ processor, libc, triple }) {
  if (triple === undefined) return [];
  const linker = libc === 'glibc' ? [() => fetchToolchain(processor)] : [];
  return [...linker, () => rustTarget(triple)];
}

/** Compiles the addon for `target` and returns its file. `command` as a step of the set-up gets it. */
export async function compileFor({ triple, env }, command) {
  const manifest = ['--manifest-path', 'native/binding/Cargo.toml', '--target-dir', folder];
  const target = triple === undefined ? [] : ['--target', triple];
  await command('cargo', ['build', '--release', '--locked', ...manifest, ...target], { env });
  return join(root, folder, triple ?? '', 'release/libbinding.so');
}

async function rustTarget(triple) {
  await requireCargo();
  const { stdout } = await run('rustc', ['--print', 'sysroot']);
  return {
    title: `Fetching Rust's library for ${triple}`,
    isFresh: () => existsSync(join(stdout.trim(), 'lib/rustlib', triple)),
    work: (command) => command('rustup', ['target', 'add', triple]),
  };
}

/**
 * Flags for rustc as cargo reads them from the environment: `more`, and those that make the paths that are written
 * into an addon the same on all machines.
 */
function samePaths(...more) {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), '.cargo');
  const paths = [
    [cargo, '/cargo'],
    [root, '/vswitchd/'],
  ].map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  return { CARGO_ENCODED_RUSTFLAGS: [...paths, ...more].join('\x1f') };
}
