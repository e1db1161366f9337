// From values to what is told of them: smallest, median, largest, and the ratio to the kernel of the same round.
import { reference } from '../contestants/index.mjs';
import { works } from '../works/index.mjs';

/**
 * Figures of one sitting: its values with `min`, `median`, `max`, `unit`, `better` and `ratio`, which is the same
 * three of the quotients by the reference's value in the same round, or null where that is 0 or missing.
 */
export function figuresOf(underlay, series) {
  return series.map(({ work, figure, contestant, values }) => {
    const base = series.find(
      (each) => each.work === work && each.figure === figure && each.contestant === reference,
    );
    const ratios = values.map((value, round) => quotient(value, base?.values[round]));
    const { title: unit, better } = works.find(({ name }) => name === work).figures[figure];
    const exact = values.map((value) => (value === null ? null : rounded(value)));
    const what = { underlay, work, figure, contestant, unit, better };
    return { ...what, values: exact, ...spread(values), ratio: spread(ratios) };
  });
}

/** Three significant digits for people. */
export function asText(value) {
  if (value === 0) return '0';
  if (value >= 999.5) return String(Math.round(value));
  return String(Number(value.toPrecision(value < 0.01 ? 1 : 3)));
}

function quotient(value, base) {
  return value === null || !base ? null : value / base;
}

/** Smallest, median and largest; null when there is no value. */
export function spread(values) {
  const sorted = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length / 2;
  const median = (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
  return { min: rounded(sorted[0]), median: rounded(median), max: rounded(sorted.at(-1)) };
}

const rounded = (value) => Number(value.toPrecision(5));
