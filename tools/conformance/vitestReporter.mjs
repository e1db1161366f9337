// A vitest reporter: keeps what every test did, for the conformance table.
import { mkdirSync, writeFileSync } from 'node:fs';
import { rowsOfTitle } from './titles.mjs';

/** Where the results of the last vitest run stand; a list of `{ suite, rows, file, title, outcome, found }`. */
export const vitestResults = new URL('../../dist/conformance/vitest.json', import.meta.url);

/**
 * `outcome` is `passed`, `failed` or `skipped`; a test that did not come to its end counts as failed. `found` is the text
 * that a test left in `task.meta.found` for a table, if it did.
 */
export default class ConformanceReporter {
  onTestRunEnd(modules) {
    const results = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => ({
        suite: module.project.name,
        rows: rowsOfTitle(test.fullName),
        file: module.relativeModuleId,
        title: test.fullName,
        outcome: { passed: 'passed', skipped: 'skipped' }[test.result().state] ?? 'failed',
        found: test.meta().found,
      })),
    );
    mkdirSync(new URL('./', vitestResults), { recursive: true });
    writeFileSync(vitestResults, JSON.stringify(results));
  }
}
