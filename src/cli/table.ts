// Columns of plain text: readable by people, and by `awk`.

import Table from 'cli-table3';

const none = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

export type Cell = string | number | undefined;

/** Aligned columns under upper-case heads; an empty cell is `-`. Numbers are set to the right. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const numeric = heads.map(
    (_, at) => rows.length > 0 && rows.every((row) => typeof row[at] === 'number'),
  );
  const drawn = new Table({
    head: heads.map((head) => head.toUpperCase()),
    chars: none,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: numeric.map((is) => (is ? 'right' : 'left')),
  });
  for (const row of rows)
    drawn.push(row.map((cell) => (cell === undefined || cell === '' ? '-' : String(cell))));
  return trimEnds(drawn.toString());
}

/** Columns of these widths without heads; what is longer goes on in the next line of its column. */
export function wrapped(rows: readonly (readonly string[])[], widths: readonly number[]): string {
  const drawn = new Table({
    chars: { ...none, middle: '' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colWidths: [...widths],
    wordWrap: true,
  });
  for (const row of rows) drawn.push([...row]);
  return trimEnds(drawn.toString());
}

/** `name: value` lines with the values under each other; lines without value are left out. */
export function fields(pairs: readonly (readonly [string, Cell])[]): string {
  const shown = pairs.filter(([, value]) => value !== undefined);
  const width = Math.max(0, ...shown.map(([key]) => key.length)) + 2;
  return shown.map(([key, value]) => `${`${key}:`.padEnd(width)}${value}`).join('\n');
}

/** Every line two columns further right. */
export function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

function trimEnds(text: string): string {
  return text.replace(/[ \t]+$/gm, '');
}
