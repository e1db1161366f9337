// Lines over time, by uPlot, in the page's colours.

import { html, useEffect, useRef } from './dom.js';
import { moment, perSecond } from './format.js';
import uPlot from './lib/uplot.js';

const HEIGHT = 230;
/** As many line colours stand in style.css. */
const COLOURS = 8;

/**
 * `times` in Unix seconds; `rows` is `[{ name, values }]`, each as long as `times`, in frames per second. The names
 * choose the lines: only when they change is the chart built anew.
 */
export function Chart({ label, times, rows }) {
  const frame = useRef(null);
  const plot = useRef(null);
  const names = rows.map(({ name }) => name).join(' ');
  const data = [times, ...rows.map(({ values }) => values)];
  useEffect(() => {
    const build = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(rows, frame.current), data, frame.current);
    };
    build();
    const resizing = new ResizeObserver(() =>
      plot.current.setSize({ width: frame.current.clientWidth, height: HEIGHT }),
    );
    resizing.observe(frame.current);
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    scheme.addEventListener('change', build);
    return () => {
      scheme.removeEventListener('change', build);
      resizing.disconnect();
      plot.current.destroy();
      plot.current = null;
    };
  }, [names]);
  useEffect(() => plot.current?.setData(data), [times]);
  return html`<div class="chart" ref=${frame} role="img" aria-label=${label}></div>`;
}

function optionsFor(rows, frame) {
  const style = getComputedStyle(frame);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--dim'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: `11px ${style.fontFamily}`,
  };
  return {
    width: frame.clientWidth,
    height: HEIGHT,
    cursor: { drag: { x: true, y: false } },
    scales: {
      y: { range: (_, least, most) => [Math.min(0, least ?? 0), Math.max(1, (most ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, space: 80, values: (_, ticks) => ticks.map((at) => moment(at * 1000)) },
      { ...axis, size: 64, values: (_, ticks) => ticks.map(perSecond) },
    ],
    series: [
      { value: (_, at) => moment(at == null ? undefined : at * 1000), label: 'time' },
      ...rows.map(({ name }, index) => ({
        label: name,
        stroke: colour(`--colour${index % COLOURS}`),
        width: 1.5,
        points: { show: false },
        value: (_, rate) => perSecond(rate ?? undefined),
      })),
    ],
  };
}
