import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../../src/daemon/metrics/table.js';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
  }[];
}

const dashboard = JSON.parse(
  readFileSync(new URL('../../../../packaging/grafana/vswitchd.json', import.meta.url), 'utf8'),
) as { panels: Panel[]; templating: { list: { name: string; definition?: string }[] } };

const known = new Map(METRICS.map((metric) => [metric.name, metric]));
/** Prometheus adds these. */
const SCRAPED = ['job', 'instance'];
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map((target) => ({ title, ...target })),
);

/** Each metric that an expression names, with its label matchers. */
function selectors(expr: string): { name: string; matchers: string[]; at: number }[] {
  return [...expr.matchAll(/\b([a-z]+_[a-z_]+)(?:\{([^}]*)\})?/g)]
    .filter(([, name = '']) => /^(vswitchd|process|nodejs)_/.test(name))
    .map(({ 1: name = '', 2: braces = '', index }) => ({
      ...{ name, at: index },
      matchers: [...braces.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
    }));
}

describe('packaging/grafana/vswitchd.json', () => {
  it('asks only for metrics and labels that there are', () => {
    expect(queries.length).toBeGreaterThan(20);
    const definitions = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
    for (const expr of [...queries.map((query) => query.expr), ...definitions]) {
      const named = selectors(expr);
      expect([expr, named.length]).not.toEqual([expr, 0]);
      for (const { name, matchers } of named) {
        const metric = known.get(name);
        expect([expr, name, metric !== undefined]).toEqual([expr, name, true]);
        const labels = [...SCRAPED, ...(metric?.labels ?? [])];
        expect([expr, matchers.filter((label) => !labels.includes(label))]).toEqual([expr, []]);
        const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) =>
          list.split(', '),
        );
        expect([expr, grouped.filter((label) => !labels.includes(label))]).toEqual([expr, []]);
      }
    }
  });

  it('takes rates of counters, and of nothing else', () => {
    for (const { expr } of queries) {
      for (const { name, at } of selectors(expr)) {
        const isRate = expr.slice(0, at).endsWith('rate(');
        expect([expr, isRate]).toEqual([expr, known.get(name)?.type === 'counter']);
      }
    }
  });

  it('shows in its legends only what a query has left', () => {
    for (const { expr, legendFormat } of queries) {
      const [, list] = /\bby \(([^)]*)\)/.exec(expr) ?? [];
      const [{ name } = { name: '' }] = selectors(expr);
      const left = list?.split(', ') ?? [...SCRAPED, ...(known.get(name)?.labels ?? [])];
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
      expect([expr, shown.filter((label) => !left.includes(label))]).toEqual([expr, []]);
    }
  });

  it('has every panel once, and none on another', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});
