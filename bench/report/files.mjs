// Where results are kept and shown: bench/results, and between marks in the READMEs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, SetupError } from '../../tools/setup/child.mjs';
import { plot } from './plot.mjs';
import { origin, summary, tables } from './table.mjs';

const folder = 'bench/results';
const picture = `${folder}/latest.svg`;

/** Writes results as a new file of bench/results; returns its path. */
export function keep(results) {
  mkdirSync(join(root, folder), { recursive: true });
  for (let run = 1; ; run += 1) {
    const suffix = run === 1 ? '' : `-${run}`;
    const path = `${folder}/${results.day}-${results.commit}${suffix}.json`;
    if (existsSync(join(root, path))) continue;
    writeFileSync(join(root, path), asJson(results));
    return path;
  }
}

/** Indented, with lists of plain values on one line each, as the formatter of this repository wants them. */
function asJson(results) {
  const text = JSON.stringify(results, null, 2);
  const flat = (_, items) => `[${items.replace(/\n\s+/g, ' ')}]`;
  return `${text.replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, flat)}\n`;
}

/** Reads what `keep` wrote. */
export function readResults(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SetupError(`${path}: ${error.message}`);
  }
}

/** Draws the picture and writes tables into the READMEs, between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`. */
export function render(results) {
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, picture), plot(results));
  const image = (from) => `![How many times as good as the kernel](${from})`;
  fill('bench/README.md', 'all', [image('results/latest.svg'), origin(results), tables(results)]);
  fill('README.md', 'summary', [image(picture), origin(results), summary(results)]);
}

/** A README without the marks stays as it is. */
function fill(path, name, parts) {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
  const text = readFileSync(join(root, path), 'utf8');
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from === -1 || to < from) return;
  const filled = `${text.slice(0, from + begin.length)}\n${parts.join('\n\n')}\n${text.slice(to)}`;
  writeFileSync(join(root, path), filled);
}
