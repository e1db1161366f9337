// Reads what `cargo test` prints into the same results as the vitest reporter makes.
import { rowsOfRustTest } from './titles.mjs';

const outcomes = { ok: 'passed', FAILED: 'failed', ignored: 'skipped' };

/** `{ suite, rows, file, title, outcome }` of all tests in what `cargo test` printed, stdout and stderr together. */
export function resultsOfCargo(output) {
  let file = 'native';
  const results = [];
  for (const line of output.split('\n')) {
    file = fileOf(line) ?? file;
    const test = /^test (\S+)(?: - .*)? \.\.\. (ok|FAILED|ignored)/.exec(line);
    if (test) {
      const [, title, outcome] = test;
      results.push({
        suite: 'native',
        rows: rowsOfRustTest(title),
        file,
        title,
        outcome: outcomes[outcome],
      });
    }
  }
  return results;
}

/** The source file whose tests follow, when this line announces one. */
function fileOf(line) {
  const unit = /^\s*Running unittests (\S+) \(\S*?(\w+)-[0-9a-f]+\)/.exec(line);
  if (unit) return `native/${unit[2]}/${unit[1]}`;
  const whole = /^\s*Running (\S+) \(/.exec(line);
  if (whole) return `native/datapath/${whole[1]}`;
  return /^\s*Doc-tests (\S+)/.exec(line)?.[1].replace(/^/, 'native/');
}
