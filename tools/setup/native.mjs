// The addon: native/ -> dist/native/vswitchd.node and src/datapath/binding.d.ts.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { root, run, SetupError, which } from './child.mjs';
import { stamp } from './stamp.mjs';
import { glibcToolchain } from './toolchain.mjs';

const addon = 'dist/native/vswitchd.node';
const types = 'src/datapath/binding.d.ts';
const typesHeader = '// Generated from native/binding by `npm run build`. Never edited.\n\n';

/**
 * Compiles the addon, for glibc 2.17 and newer where `fetchToolchain` has brought what links it so. The new file replaces the old one by rename, so a running process keeps the one it loaded.
 */
export function nativeAddon() {
  const toolchain = glibcToolchain(process.arch);
  const target = toolchain?.isThere() ? toolchain : undefined;
  const memory = stamp('native', {
    inputs: ['native'],
    outputs: [addon, types],
    facts: [process.arch, target?.folder ?? ''],
  });
  return {
    title: 'Compiling the addon (Rust)',
    isFresh: memory.isFresh,
    work: async (command) => {
      await requireCargo();
      const fresh = 'dist/native/fresh';
      mkdirSync(join(root, fresh), { recursive: true });
      const manifest = ['--manifest-path', 'native/binding/Cargo.toml'];
      const output = ['--output-dir', fresh, '--dts', 'binding.d.ts', '--dts-header', typesHeader];
      // A cached run of the proc macros can leave types out of binding.d.ts.
      const build = ['build', '--release', '--no-dts-cache', ...manifest, ...output];
      const triple = target === undefined ? [] : ['--target', target.triple];
      const napi = join(root, 'node_modules/.bin/napi');
      await command(napi, [...build, ...triple], { env: target?.env });
      mkdirSync(join(root, 'src/datapath'), { recursive: true });
      renameSync(join(root, fresh, 'vswitchd.node'), join(root, addon));
      renameSync(join(root, fresh, 'binding.d.ts'), join(root, types));
      rmSync(join(root, fresh), { recursive: true });
      memory.remember();
    },
  };
}

/** Throws a SetupError unless there is a cargo that is new enough, in PATH or where rustup puts it. */
export async function requireCargo() {
  const rustup = join(homedir(), '.cargo/bin');
  if (which('cargo') === undefined && existsSync(join(rustup, 'cargo'))) {
    process.env.PATH = `${process.env.PATH}${delimiter}${rustup}`;
  }
  const needed = /rust-version = "([\d.]+)"/.exec(
    readFileSync(join(root, 'native/Cargo.toml'), 'utf8'),
  )[1];
  const remedy = `Install Rust ${needed} or newer, for example with rustup (https://rustup.rs), and run this again.`;
  if (which('cargo') === undefined) throw new SetupError(`cargo is missing. ${remedy}`);
  const { output } = await run('cargo', ['--version']);
  const version = /cargo (\d+\.\d+\.\d+)/.exec(output)?.[1];
  if (version === undefined)
    throw new SetupError(`\`cargo --version\` says: ${output.trim()} ${remedy}`);
  if (version.localeCompare(needed, undefined, { numeric: true }) < 0) {
    throw new SetupError(`cargo ${version} is too old. ${remedy}`);
  }
}
