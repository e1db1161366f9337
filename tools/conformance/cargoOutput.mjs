// Reads what `cargo test` prints into the same results as the vitest reporter makes.
import { rowsOfRustTest } from './titles.mjs';

const outcomes = { ok: 'passed', FAILED: 'failed', ignored: 'skipped' };

/**
 * Results of all tests in the output of `cargo test` (stdout and stderr together). `file` is the crate's target, as
 * `native/datapath/src/lib.rs`; `crates` says which folder each test binary's name stands for.
 */
export function resultsOfCargo(output) {
  let file = 'native';
  const results = [];
  for (const line of output.split('\n')) {
    const target = /^\s*Running (?:unittests )?(\S+) \(\S*?([a-z0-9_]+)-[0-9a-f]+\)/.exec(line);
    if (target) file = `native: ${target[2]} ${target[1]}`;
    const documented = /^\s*Doc-tests (\S+)/.exec(line);
    if (documented) file = `native: ${documented[1]} documentation`;
    const test = /^test (\S+)(?: - .*)? \.\.\. (ok|FAILED|ignored)/.exec(line);
    if (test) {
      const [, title, outcome] = test;
      results.push({ rows: rowsOfRustTest(title), file, title, outcome: outcomes[outcome] });
    }
  }
  return results;
}
