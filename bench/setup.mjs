// What the benchmarks need beside the demo: their peers' programs and the traffic source.
import { join } from 'node:path';
import { root, SetupError, which } from '../tools/setup/child.mjs';
import { debianPackages } from '../tools/setup/debian.mjs';
import { requireCargo } from '../tools/setup/native.mjs';
import { step } from '../tools/setup/progress.mjs';
import { stamp } from '../tools/setup/stamp.mjs';
import { setup } from '../tools/setup.mjs';

const folder = 'bench/blast';
const program = `${folder}/target/release/blast`;

/** The traffic source and sink, see bench/blast. */
export const blast = join(root, program);

/** Does what is not yet done; says so and goes on without tinc where there is none to install. */
export async function setupBench() {
  await setup('demo');
  await does(debianPackages(['ovs-vsctl', 'ethtool']));
  try {
    await does(debianPackages(['tincd']));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write('  tinc cannot be installed: measuring without it.\n');
  }
  await does(trafficSource());
}

/** True when tinc can take part. */
export const hasTinc = () => which('tincd') !== undefined;

async function does({ title, isFresh, work }) {
  if (!isFresh()) await step(title, work);
}

function trafficSource() {
  const memory = stamp('blast', { inputs: [folder], outputs: [program], facts: [process.arch] });
  return {
    title: 'Compiling the traffic source (Rust)',
    isFresh: memory.isFresh,
    work: async (command) => {
      await requireCargo();
      const manifest = ['--manifest-path', `${folder}/Cargo.toml`];
      await command('cargo', ['build', '--release', '--locked', ...manifest]);
      memory.remember();
    },
  };
}
