// Results as a picture: for each work how many times as good as the kernel each contestant is, on a logarithmic axis.
import { contestants, reference } from '../contestants/index.mjs';
import { underlays, works } from '../works/index.mjs';

const width = 860;
const labelWidth = 330;
const rowHeight = 24;
const headHeight = 70;
const panelHeight = 46;
const footHeight = 34;
const margin = 24;
const axis = { from: 1 / 32, to: 8 };
const marks = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8];
/** Distinct for colour-blind eyes, on white and on black (Okabe and Ito); the shapes differ too. */
const inks = {
  vswitchd: '#d55e00',
  'vswitchd-tunnel-gso': '#cc79a7',
  ovs: '#0072b2',
  tinc: '#009e73',
  veth: '#8c8c8c',
};
const shapes = {
  vswitchd: (x, y) => `<circle cx="${x}" cy="${y}" r="6"/>`,
  'vswitchd-tunnel-gso': (x, y) => `<path d="M${x} ${y + 6}l5.5 -10h-11z"/>`,
  ovs: (x, y) => `<rect x="${x - 4.5}" y="${y - 4.5}" width="9" height="9"/>`,
  tinc: (x, y) => `<path d="M${x} ${y - 6}l5.5 10h-11z"/>`,
  veth: (x, y) => `<path d="M${x} ${y - 6}l6 6-6 6-6-6z"/>`,
};

/** An SVG document; it follows the reader's light or dark scheme. */
export function plot(results) {
  const shown = contestants.filter(({ name }) => Object.hasOwn(inks, name) && took(results, name));
  const panels = underlays.map((underlay) => ({
    underlay,
    rows: rowsOf(results, underlay, shown),
  }));
  const parts = [legend(shown)];
  let y = headHeight;
  for (const { underlay, rows } of panels.filter((panel) => panel.rows.length > 0)) {
    parts.push(panel({ title: underlay.title, rows, top: y }));
    y += panelHeight + rows.length * rowHeight + footHeight;
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" ` +
    `font-family="system-ui, sans-serif" font-size="13" role="img">\n` +
    `<title>How many times as good as kernel vxlan + bridge</title>\n${style}\n` +
    `<rect class="paper" width="${width}" height="${y}"/>\n${parts.join('\n')}\n</svg>\n`
  );
}

function took({ figures }, name) {
  return figures.some(({ contestant }) => contestant === name);
}

/** Each row: a work and, by contestant, `{ min, median, max }` times as good as the reference. */
function rowsOf({ figures }, underlay, shown) {
  return works.flatMap((work) =>
    Object.entries(work.figures)
      .filter(([, { cost }]) => !cost)
      .map(([figure, { title }]) => {
        const points = shown.flatMap(({ name }) => {
          const found = figures.find(
            (each) =>
              each.underlay === underlay.name &&
              each.work === work.name &&
              each.figure === figure &&
              each.contestant === name,
          );
          return found?.ratio ? [{ name, ...goodness(found) }] : [];
        });
        return { title: `${work.title}: ${title}`, points };
      })
      .filter(({ points }) => points.length > 0),
  );
}

/** Where less is better, half is twice as good. */
function goodness({ better, ratio: { min, median, max } }) {
  return better === 'higher'
    ? { min, median, max }
    : { min: 1 / max, median: 1 / median, max: 1 / min };
}

function legend(shown) {
  const step = (width - margin) / shown.length;
  const entries = shown.map(({ name, title }, i) => {
    const x = Math.round(margin + i * step);
    return `<g fill="${inks[name]}">${shapes[name](x + 6, 50)}</g><text x="${x + 20}" y="54">${title}</text>`;
  });
  return (
    `<text class="title" x="${margin}" y="26">Times as good as ${titleOf(reference)} in the same round ` +
    `(right is better; median, smallest to largest)</text>\n${entries.join('\n')}`
  );
}

function titleOf(wanted) {
  return contestants.find(({ name }) => name === wanted).title;
}

function panel({ title, rows, top }) {
  const first = top + panelHeight;
  const last = first + rows.length * rowHeight;
  const grid = marks.map((mark) => {
    const x = place(mark);
    const kind = mark === 1 ? 'one' : 'grid';
    const text = mark < 1 ? `1/${1 / mark}` : `${mark}`;
    return (
      `<line class="${kind}" x1="${x}" x2="${x}" y1="${first - 8}" y2="${last}"/>` +
      `<text class="mark" x="${x}" y="${last + 16}">${text}</text>`
    );
  });
  const lines = rows.map((row, i) => rowOf(row, first + (i + 0.5) * rowHeight));
  const name = `<text class="title" x="${margin}" y="${top + 24}">${title}</text>`;
  return [name, ...grid, ...lines].join('\n');
}

function rowOf({ title, points }, y) {
  const label = `<text x="${margin}" y="${y + 4}">${escaped(title)}</text>`;
  const drawn = points.toReversed().map(({ name, min, median, max }) => {
    const whisker = `<line x1="${place(min)}" x2="${place(max)}" y1="${y}" y2="${y}" stroke="${inks[name]}" stroke-width="2"/>`;
    return `<g fill="${inks[name]}">${whisker}${shapes[name](place(median), y)}</g>`;
  });
  return [label, ...drawn].join('');
}

/** The x of a ratio; what lies beyond the axis stands at its end. */
function place(ratio) {
  const { from, to } = axis;
  const inside = Math.min(Math.max(ratio, from), to);
  const share = Math.log(inside / from) / Math.log(to / from);
  const left = margin + labelWidth;
  return Number((left + share * (width - margin - left)).toFixed(1));
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

const style = `<style>
.paper { fill: #fff } text { fill: #24292f } .title { font-weight: 600 } .mark { text-anchor: middle; font-size: 11px }
.grid { stroke: #d8dee4 } .one { stroke: #57606a; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117 } text { fill: #e6edf3 } .grid { stroke: #30363d } .one { stroke: #8b949e }
}
</style>`;
