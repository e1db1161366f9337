// Micro benches of the Rust core, by criterion: native/datapath/benches/core. Needs no root.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { requireCargo } from '../../tools/setup/native.mjs';
import { step } from '../../tools/setup/progress.mjs';
import { asText } from '../report/figures.mjs';
import { markdown } from '../report/markdown.mjs';

/** Runs them and prints nanoseconds per frame, and how many times as long the peer takes; returns an exit code. */
export async function measureCore() {
  await requireCargo();
  const folder = mkdtempSync(join(tmpdir(), 'vswitchd-bench-'));
  try {
    const cargo = (...args) => ['bench', '--locked', '--manifest-path', manifest, ...args];
    await step('Compiling the micro benches (Rust)', (command) =>
      command('cargo', cargo('--bench', 'core', '--no-run')),
    );
    await step('Measuring the core', (command) =>
      command('cargo', cargo('--bench', 'core'), { env: { CRITERION_HOME: folder } }),
    );
    console.log(`\n${table(measured(folder))}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return 0;
}

/** What criterion left in its folder, in the order of measuring: `{ group, name, parameter, nanoseconds }`. */
function measured(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('new/estimates.json'))
    .map((path) => ({ path: join(folder, path), at: statSync(join(folder, path)).mtimeMs }))
    .sort((a, b) => a.at - b.at)
    .map(({ path }) => {
      const { median } = readJson(path);
      const what = readJson(join(dirname(path), 'benchmark.json'));
      return {
        group: what.group_id,
        name: what.function_id,
        parameter: what.value_str,
        nanoseconds: median.point_estimate / what.throughput.Elements,
      };
    });
}

/** A row for each pair of ours and its peer, group by group. */
function table(results) {
  const groups = [...new Set(results.map(({ group }) => group))];
  const rows = groups
    .flatMap((group) => results.filter((each) => each.group === group && each.name === 'ours'))
    .map(({ group, parameter, nanoseconds }) => {
      const peer = results.find(
        (each) => each.group === group && each.parameter === parameter && each.name !== 'ours',
      );
      const ratio = asText(peer.nanoseconds / nanoseconds);
      return [
        `${group}, ${parameter}`,
        asText(nanoseconds),
        `${peer.name} ${asText(peer.nanoseconds)}`,
        `×${ratio}`,
      ];
    });
  return markdown([['', 'ns', 'peer: ns', 'peer / ours'], ...rows]);
}

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const manifest = 'native/datapath/Cargo.toml';
