// Results as Markdown that is also readable on a terminal.
import { contestants, reference } from '../contestants/index.mjs';
import { underlays, works } from '../works/index.mjs';
import { asText } from './figures.mjs';
import { markdown } from './markdown.mjs';

/** All tables of a file of results. */
export function tables(results) {
  const parts = underlays
    .filter(({ name }) => results.figures.some(({ underlay }) => underlay === name))
    .flatMap(({ name, title }) => [`### ${title}`, mainTable(results, name)]);
  const variants = variantTable(results);
  if (variants !== undefined)
    parts.push('### vswitchd with facilities of the kernel off', variants);
  return [...parts, ...remarks(results)].join('\n\n');
}

/** The rates of one underlay, without what they cost: `full` as it is. */
export function summary(results) {
  return mainTable(
    { ...results, figures: results.figures.filter((each) => !isCost(each)) },
    'full',
  );
}

/** What was measured where, as sentences. */
export function origin({ day, commit, changed, kernel, cpus, cpu, programs, settings, load }) {
  const { rounds, seconds } = settings;
  const state = changed ? ' with changes' : '';
  const versions = Object.values(programs).filter(Boolean).join(', ');
  return (
    `Commit ${commit}${state}, ${day}, Linux ${kernel}, ${cpus} CPUs (${cpu}); ${versions}. ` +
    `Load before the run: ${load.toFixed(2)}. ${rounds === 1 ? 'One round' : `Median of ${rounds} rounds`} of ${seconds} s (smallest–largest); ` +
    '**×** is the median of the ratios to the kernel in the same round.'
  );
}

function mainTable(results, underlay) {
  const mine = results.figures.filter((each) => each.underlay === underlay);
  const columns = contestants.filter(
    ({ name, variant }) => !variant && mine.some(({ contestant }) => contestant === name),
  );
  const rows = rowsOf(mine).map(({ work, figure, title }) => [
    title,
    ...columns.map(({ name }) => cell(find(mine, { work, figure, contestant: name }))),
  ]);
  return markdown([['', ...columns.map(({ title }) => title)], ...rows]);
}

/** Rows of a table: every figure that was measured, costs only of works that show them. */
function rowsOf(figures) {
  return works.flatMap((work) =>
    Object.entries(work.figures)
      .filter(([figure, { cost }]) => {
        const measured = figures.some((each) => each.work === work.name && each.figure === figure);
        return measured && (!cost || work.showsCosts);
      })
      .map(([figure, { title }]) => ({
        work: work.name,
        figure,
        title: `${work.title}: ${title}`,
      })),
  );
}

function variantTable(results) {
  const variants = contestants.filter(
    ({ name, variant }) => variant && results.figures.some(({ contestant }) => contestant === name),
  );
  if (variants.length === 0) return undefined;
  const columns = underlays.flatMap((underlay) =>
    works
      .filter((work) => work.variants.includes(underlay.name))
      .filter((work) =>
        results.figures.some((each) => each.work === work.name && each.underlay === underlay.name),
      )
      .map((work) => ({ work, underlay, figure: Object.keys(work.figures)[0] })),
  );
  const head = columns.map(
    ({ work, underlay, figure }) =>
      `${work.title}, ${underlay.name}: ${work.figures[figure].title}`,
  );
  const whole = contestants.find(({ name }) => name === 'vswitchd');
  const rows = [whole, ...variants].map(({ name, title }) => [
    title,
    ...columns.map(({ work, underlay, figure }) => {
      const wanted = { underlay: underlay.name, work: work.name, figure, contestant: name };
      return cell(find(results.figures, wanted));
    }),
  ]);
  return markdown([['', ...head], ...rows]);
}

function remarks({ absent, failures }) {
  const lines = [
    ...absent.map((name) => `- ${name} took no part: it is not installed.`),
    ...failures.map(({ underlay, what, contestant, reason }) => {
      return `- ${contestant}, ${underlay}, ${what} failed: ${reason.split('\n').at(-1)}`;
    }),
  ];
  return lines.length === 0 ? [] : [lines.join('\n')];
}

function isCost({ work, figure }) {
  return works.find(({ name }) => name === work).figures[figure].cost === true;
}

function find(figures, wanted) {
  const keys = Object.keys(wanted);
  return figures.find((each) => keys.every((key) => each[key] === wanted[key]));
}

function cell(figure) {
  if (figure?.median === undefined) return '–';
  const { min, median, max, ratio, contestant, values } = figure;
  const range = values.length > 1 ? ` (${asText(min)}–${asText(max)})` : '';
  const times = contestant === reference || ratio === null ? '' : ` **×${asText(ratio.median)}**`;
  return `${asText(median)}${range}${times}`;
}
