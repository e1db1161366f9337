// Joins rows, test results and notes into test/conformance.md, and says what is wrong with them.

/** True once every row of the list has a test or a note; then a row without either fails the full run. */
export const REQUIRE_ALL = true;

/**
 * The table as text and the list of problems.
 *
 * `rows` is `[{ row, level, statement }]` in the order of the table, `notes` maps a row to a sentence (why it is not
 * met here, or how we differ on purpose), `results` are those of the reporter and of cargo. The text holds no date
 * and no duration, so that it changes only when a test or a result does.
 */
export function conformance(rows, notes, results) {
  const known = new Set(rows.map(({ row }) => row));
  const problems = [
    ...results.flatMap((result) =>
      result.rows
        .filter((row) => !known.has(row))
        .map(
          (row) => `${result.file}: "${result.title}" names row ${row}, which is not in the list`,
        ),
    ),
    ...Object.keys(notes)
      .filter((row) => !known.has(row))
      .map((row) => `the note for ${row} stands for no row of the list`),
  ];
  const lines = rows.map((row) => {
    const tests = results.filter((result) => result.rows.includes(row.row)).sort(byPlace);
    if (REQUIRE_ALL && tests.length === 0 && notes[row.row] === undefined) {
      problems.push(`${row.row} has neither a test nor a note: ${row.statement}`);
    }
    return { ...row, tests, outcome: outcomeOf(tests), note: notes[row.row] ?? '' };
  });
  return { text: render(lines), problems };
}

function byPlace(a, b) {
  const [first, second] = [a, b].map(({ file, title }) => `${file}\0${title}`);
  return first < second ? -1 : Number(first > second);
}

function outcomeOf(tests) {
  if (tests.some(({ outcome }) => outcome === 'failed')) return 'failed';
  return tests.some(({ outcome }) => outcome === 'passed') ? 'met' : 'not covered';
}

function render(lines) {
  const count = (outcome) => lines.filter((line) => line.outcome === outcome).length;
  return [
    '# Conformance',
    '',
    'Written by a full run of `npm test`; never edited. Statements come from `conformance.rows.json`, explanations',
    'from `conformance.notes.json`; a test names its rows in its title (see CONTRIBUTING.md).',
    '',
    `${lines.length} rows: ${count('met')} met, ${count('failed')} failed, ${count('not covered')} not covered.`,
    '',
    '| row | level | statement | result | tests | explanation |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines.map(({ row, level, statement, outcome, tests, note }) => {
      const places = tests.map(({ file, title }) => cell(`${file}: ${title}`)).join('<br>');
      return `| ${row} | ${level} | ${cell(statement)} | ${outcome} | ${places} | ${cell(note)} |`;
    }),
    '',
  ].join('\n');
}

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}
