/** The tools that make conformance.md out of what the tests did. */

import { describe, expect, it } from 'vitest';
import { resultsOfCargo } from '../tools/conformance/cargoOutput.mjs';
import { oldKernels } from '../tools/conformance/oldKernels.mjs';
import { conformance } from '../tools/conformance/table.mjs';
import { rowsOfRustTest, rowsOfTitle } from '../tools/conformance/titles.mjs';

describe('rows in titles', () => {
  it('are read from brackets, anywhere in the title', () => {
    expect(rowsOfTitle('vxlan [B26] > bits are ignored [B27]')).toEqual(['B26', 'B27']);
    expect(rowsOfTitle('a list [a] of [12] no rows')).toEqual([]);
  });

  it('are read from the front of a Rust name', () => {
    expect(rowsOfRustTest('wire::tests::a6_a7_short_payload_is_counted')).toEqual(['A6', 'A7']);
    expect(rowsOfRustTest('root_o251_a_deleted_device_is_gone')).toEqual(['O251']);
    expect(rowsOfRustTest('wire::tests::a6')).toEqual([]);
    expect(rowsOfRustTest('fdb::tests::entries_age_after_a6_seconds')).toEqual([]);
  });
});

const cargoOutput = `
     Running unittests src/lib.rs (target/debug/deps/datapath-0f3a9c)

running 2 tests
test wire::vxlan::tests::b25_i_flag_clear_is_dropped ... ok
test switch::fdb::tests::d54_learns ... FAILED

     Running tests/offload.rs (target/debug/deps/offload-77aa01)
test split_matches_the_oracle ... ignored
   Doc-tests datapath
test datapath/src/lib.rs - wire (line 3) ... ok
`;

describe('the output of cargo test', () => {
  it('gives file, title and outcome of each test', () => {
    expect(resultsOfCargo(cargoOutput)).toEqual([
      {
        suite: 'native',
        rows: ['B25'],
        file: 'native/datapath/src/lib.rs',
        title: 'wire::vxlan::tests::b25_i_flag_clear_is_dropped',
        outcome: 'passed',
      },
      {
        suite: 'native',
        rows: ['D54'],
        file: 'native/datapath/src/lib.rs',
        title: 'switch::fdb::tests::d54_learns',
        outcome: 'failed',
      },
      {
        suite: 'native',
        rows: [],
        file: 'native/datapath/tests/offload.rs',
        title: 'split_matches_the_oracle',
        outcome: 'skipped',
      },
      {
        suite: 'native',
        rows: [],
        file: 'native/datapath',
        title: 'datapath/src/lib.rs',
        outcome: 'passed',
      },
    ]);
  });
});

describe('the table', () => {
  const rows = [
    { row: 'A1', level: 'MUST', statement: 'one' },
    { row: 'A2', level: 'MUST', statement: 'two' },
    { row: 'A3', level: 'MAY', statement: 'a | b' },
  ];
  const result = (title: string, row: string, outcome: string) => ({
    suite: 'unit',
    rows: [row],
    file: 'test/x.test.ts',
    title,
    outcome,
  });

  it('counts a row as met when a test passed, as failed when any failed', () => {
    const results = [
      result('later', 'A1', 'passed'),
      result('earlier', 'A1', 'passed'),
      result('good', 'A2', 'passed'),
      result('bad', 'A2', 'failed'),
      result('absent', 'A3', 'skipped'),
    ];
    const { text, problems } = conformance(rows, { A3: 'not ours' }, results);
    expect(problems).toEqual([]);
    expect(text).toContain('3 rows: 1 met, 1 failed, 1 not covered.');
    expect(text.split('\n').slice(-4, -1)).toEqual([
      '| A1 | MUST | one | met | test/x.test.ts: earlier<br>test/x.test.ts: later |  |',
      '| A2 | MUST | two | failed | test/x.test.ts: bad<br>test/x.test.ts: good |  |',
      '| A3 | MAY | a \\| b | not covered | test/x.test.ts: absent | not ours |',
    ]);
  });

  it('complains about rows that nobody knows, and about those with neither test nor note', () => {
    const { problems } = conformance(rows, { A3: 'not ours', Z1: 'no' }, [
      result('x', 'A9', 'passed'),
      result('y', 'A1', 'passed'),
    ]);
    expect(problems).toHaveLength(3);
    expect(problems[0]).toContain('names row A9');
    expect(problems[1]).toContain('Z1');
    expect(problems[2]).toContain('A2 has neither a test nor a note');
  });
});

describe('the tables of old kernels', () => {
  const ran = (file: string, title: string, more: object = {}) => ({
    ...{ suite: 'old-kernel', file, title, outcome: 'passed' },
    ...more,
  });
  const results = [
    ran('b.test.ts', "at '3.2' > calls [S261]", { found: 'statx, rseq' }),
    ran('a.test.ts', "at '2.6.32' > ports – needs setns"),
    ran('a.test.ts', "at '3.2' > ports"),
    ran('b.test.ts', "at '2.6.32' > calls [S261]", { outcome: 'failed' }),
    ran('c.test.ts', 'no release'),
    ran('a.test.ts', "at '3.2' > of another suite", { suite: 'unit' }),
  ];

  it('have a row for each title, by file, and what was found apart', () => {
    const { page, table } = oldKernels(results) ?? { page: '', table: '' };
    expect(table.split('\n')).toEqual([
      '|  | 2.6.32 | 3.2 |',
      '| --- | --- | --- |',
      '| ports | – needs setns | ✓ |',
      '| calls | ✗ | ✓ |',
      '',
    ]);
    expect(page).toContain(table);
    expect(page).toContain('| 3.2 | statx, rseq |');
  });

  it('are not made of a run that left one of them out, or had none', () => {
    const skipped = ran('a.test.ts', "at '3.10' > ports", { outcome: 'skipped' });
    expect(oldKernels([...results, skipped])).toBeUndefined();
    expect(oldKernels(results.slice(4))).toBeUndefined();
  });
});
