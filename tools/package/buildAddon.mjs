// Builds the addon of an installed package where no package has it ready. Needs Rust and a C compiler.
//
//   npm run build --prefix FOLDER        (of vswitchd; the daemon names it)
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const top = fileURLToPath(new URL('../../', import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(top, 'native/target');
const manifest = ['--manifest-path', join(top, 'native/binding/Cargo.toml')];
// Addons are loaded, so on musl they must share its C library.
const flags = `${process.env.RUSTFLAGS ?? ''} -C target-feature=-crt-static`.trim();
const isGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
const { status, error } = spawnSync('cargo', ['build', '--release', '--locked', ...manifest], {
  stdio: 'inherit',
  env: { ...process.env, CARGO_TARGET_DIR: target, ...(!isGlibc && { RUSTFLAGS: flags }) },
});
if (error !== undefined) {
  console.error(
    `cargo cannot be started (${error.message}): install Rust (https://rustup.rs) and a C compiler.`,
  );
  process.exit(1);
}
if (status !== 0) process.exit(status ?? 1);
const addon = join(top, 'dist/native/vswitchd.node');
mkdirSync(join(top, 'dist/native'), { recursive: true });
// By rename: a process that runs keeps the one that it loaded.
copyFileSync(join(target, 'release/libbinding.so'), `${addon}.fresh`);
renameSync(`${addon}.fresh`, addon);
