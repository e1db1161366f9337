/**
 * A strict reader of Prometheus' text format 0.0.4: what the format forbids, and what the conventions for names
 * forbid (as `promtool check metrics` does), is thrown.
 */

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly series: readonly Series[];
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/y;

/** The families in their order. */
export function parseMetrics(text: string): Family[] {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed');
  const families = new Map<string, Family & { series: Series[] }>();
  const seen = new Set<string>();
  let help: { name: string; text: string } | undefined;
  let current: (Family & { series: Series[] }) | undefined;
  for (const line of text.split('\n')) {
    const fail = (why: string) => new Error(`${why}: ${line}`);
    const [, helped, sentence] = /^# HELP (\S+) (.*)$/.exec(line) ?? [];
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (line === '') continue;
    if (helped !== undefined) help = { name: helped, text: sentence ?? '' };
    else if (typed !== undefined) {
      if (help?.name !== typed) throw fail('no help before its type');
      if (families.has(typed)) throw fail('a second time');
      current = { name: typed, type: type as Family['type'], help: help.text, series: [] };
      requireConventions(current);
      families.set(typed, current);
    } else {
      const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (name === '' || !/^(NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]?\d+)?)$/i.test(value))
        throw fail('no sample');
      const base = current?.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
      if (current === undefined || base !== current.name) throw fail('outside its family');
      const sample = { name, labels: parseLabels(labels), value: Number(value) };
      const key = JSON.stringify([name, Object.entries(sample.labels).sort()]);
      if (seen.has(key)) throw fail('a second time');
      seen.add(key);
      if (current.type === 'counter' && !(sample.value >= 0)) throw fail('a counter below zero');
      current.series.push(sample);
    }
  }
  return [...families.values()];
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const [whole, name = '', raw = ''] = LABEL.exec(text) ?? [];
    if (whole === undefined || name in labels) throw new Error(`bad labels: {${text}}`);
    labels[name] = raw.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter));
    at += whole.length;
  }
  return labels;
}

function requireConventions({ name, type, help }: Family): void {
  const isTotal = name.endsWith('_total');
  if (help.trim() === '') throw new Error(`${name} has no help`);
  if ((type === 'counter') !== isTotal) throw new Error(`${name} is a ${type}`);
  if (/[A-Z]|__/.test(name)) throw new Error(`${name} is no snake case`);
  if (/_(milliseconds|ms|microseconds|us|kilobytes|kb|mb|minutes|hours)(_|$)/.test(name))
    throw new Error(`${name} has no base unit`);
}

/** The value of the one series with these labels, perhaps among others; `undefined` without any. */
export function seriesValue(
  families: readonly Family[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = families
    .flatMap(({ series }) => series)
    .filter(
      (series) =>
        series.name === name &&
        Object.entries(labels).every(([label, value]) => series.labels[label] === value),
    );
  if (found.length > 1) throw new Error(`${found.length} series of ${name} fit`);
  return found[0]?.value;
}
