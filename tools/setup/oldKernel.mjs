// The launcher for emulated old kernels, see tools/oldkernel.
import { SetupError } from './child.mjs';
import { requireCargo } from './native.mjs';
import { stamp } from './stamp.mjs';

const folder = 'tools/oldkernel';
const program = `${folder}/target/release/oldkernel`;

export function oldKernelLauncher() {
  const memory = stamp('oldkernel', {
    inputs: [folder],
    outputs: [program],
    facts: [process.arch],
  });
  return {
    title: 'Compiling the launcher for old kernels (Rust)',
    isFresh: memory.isFresh,
    work: async (command) => {
      if (process.arch !== 'x64') {
        throw new SetupError(
          `Old kernels are emulated on x86_64 only; this machine is ${process.arch}.`,
        );
      }
      await requireCargo();
      const manifest = ['--manifest-path', `${folder}/Cargo.toml`];
      await command('cargo', ['build', '--release', '--locked', ...manifest]);
      memory.remember();
    },
  };
}
