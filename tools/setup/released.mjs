// What there are packages with an addon for, and how each is compiled. On musl everybody builds his own.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { root, run } from './child.mjs';
import { requireCargo } from './native.mjs';
import { fetchToolchain, glibcToolchain } from './toolchain.mjs';

const folder = 'native/target/released';

/**
 * The targets that this machine can compile for: `{ processor, triple, env, strip }`, `env` for cargo, `strip` the program.
 * On x64 with glibc these are two; elsewhere it is the machine itself, with its own linker and its own glibc.
 */
export function releasedTargets() {
  const processors = ['x64', 'arm64'].filter((one) => glibcToolchain(one) !== undefined);
  if (processors.length === 0) {
    const triple = undefined;
    return [{ processor: process.arch, triple, env: samePaths(), strip: 'strip' }];
  }
  return processors.map((processor) => {
    const { triple, env, strip } = glibcToolchain(processor);
    return { processor, triple, env: { ...env, ...samePaths() }, strip };
  });
}

/** The steps of the set-up without which `target` cannot be compiled. */
export function targetSteps({ processor, triple }) {
  return triple === undefined ? [] : [() => fetchToolchain(processor), () => rustTarget(triple)];
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
 * Flags for rustc, as cargo reads them from the environment, that make the paths that are written into an addon the
 * same on all machines.
 */
function samePaths() {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), '.cargo');
  const paths = [
    [cargo, '/cargo'],
    [root, '/vswitchd/'],
  ].map(([from, to]) => `--remap-path-prefix=${from}=${to}`);
  return { CARGO_ENCODED_RUSTFLAGS: paths.join('\x1f') };
}
