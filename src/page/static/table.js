// A table of any length: sorted by any column, searched by words, and only as many rows in the document as can be
// seen. To a screen reader it is a table with all its rows counted.

import { html, useLayoutEffect, useMemo, useRef, useState } from './dom.js';
import { whole } from './format.js';

/** As in style.css. */
const ROW = 27;
/** Rows beyond the edges, so that scrolling shows no gaps. */
const SPARE = 12;

/**
 * Rows as a table. A column is `{ id, title, value(row), cell?(row), numeric?, hex?, still? }`: `value` is what is
 * searched, sorted by and shown, unless `cell` shows it in another way. `rowKey` tells rows apart. `still` columns
 * are not searched: what changes each second would make rows come and go.
 */
export function Table({ label, columns, rows, rowKey, query, onQuery, sortBy, hint }) {
  const [sort, setSort] = useState({ column: sortBy ?? columns[0].id, isDown: false });
  const texts = useMemo(() => rows.map((row) => textOf(row, columns)), [rows, columns]);
  const found = useMemo(() => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const fitting = rows.filter((_, index) => words.every((word) => texts[index].includes(word)));
    return sorted(fitting, columns, sort);
  }, [rows, texts, columns, query, sort]);
  return html`
    <div class="tools">
      <input
        type="search"
        placeholder="Search"
        aria-label=${`Search ${label}`}
        value=${query}
        onInput=${(event) => onQuery(event.currentTarget.value)}
      />
      <span class="dim" role="status">
        ${found.length === rows.length ? whole(rows.length) : `${whole(found.length)} of ${whole(rows.length)}`}
      </span>
      ${hint !== undefined && html`<span class="dim">${hint}</span>`}
    </div>
    <${Rows} ...${{ label, columns, found, rowKey, sort, setSort }} />
  `;
}

function Rows({ label, columns, found, rowKey, sort, setSort }) {
  const scroller = useRef(null);
  const view = useView(scroller);
  // Fewer rows than a moment ago: the browser will scroll back, and tells so later.
  const top = Math.min(view.top, Math.max(0, found.length * ROW - view.height));
  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const last = Math.min(found.length, Math.ceil((top + view.height) / ROW) + SPARE);
  return html`
    <div class="scroller" ref=${scroller} tabindex="0" role="region" aria-label=${label}>
      <table aria-label=${label} aria-rowcount=${found.length + 1}>
        <thead>
          <tr aria-rowindex="1">
            ${columns.map((column) => html`<${Heading} ...${{ column, sort, setSort }} />`)}
          </tr>
        </thead>
        <tbody>
          <${Gap} rows=${first} columns=${columns.length} />
          ${found.slice(first, last).map(
            (row, index) => html`
              <tr key=${rowKey(row)} aria-rowindex=${first + index + 2}>
                ${columns.map(
                  (column) => html`
                    <td class=${column.numeric ? 'number' : ''}>
                      ${column.cell === undefined ? column.value(row) : column.cell(row)}
                    </td>
                  `,
                )}
              </tr>
            `,
          )}
          <${Gap} rows=${found.length - last} columns=${columns.length} />
        </tbody>
      </table>
    </div>
  `;
}

function Heading({ column, sort, setSort }) {
  const isSorted = sort.column === column.id;
  const turn = () => setSort({ column: column.id, isDown: isSorted && !sort.isDown });
  return html`
    <th
      scope="col"
      class=${column.numeric ? 'number' : ''}
      aria-sort=${isSorted ? (sort.isDown ? 'descending' : 'ascending') : 'none'}
    >
      <button type="button" onClick=${turn}>
        ${column.title}<span aria-hidden="true">${isSorted ? (sort.isDown ? ' ▾' : ' ▴') : ''}</span>
      </button>
    </th>
  `;
}

/** Takes the place of rows that are not in the document. */
function Gap({ rows, columns }) {
  if (rows <= 0) return null;
  return html`<tr class="gap" aria-hidden="true"><td colspan=${columns} style=${{ height: `${rows * ROW}px` }}></td></tr>`;
}

/** What of the scroller can be seen: `{ top, height }` in pixels. */
function useView(scroller) {
  const [view, setView] = useState({ top: 0, height: 800 });
  useLayoutEffect(() => {
    const element = scroller.current;
    const look = () =>
      setView((old) =>
        old.top === element.scrollTop && old.height === element.clientHeight
          ? old
          : { top: element.scrollTop, height: element.clientHeight },
      );
    look();
    element.addEventListener('scroll', look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', look);
      observer.disconnect();
    };
  }, []);
  return view;
}

function textOf(row, columns) {
  return columns
    .filter(({ still }) => still !== true)
    .map(({ value }) => value(row) ?? '')
    .join(' ')
    .toLowerCase();
}

function sorted(rows, columns, { column, isDown }) {
  const { value, hex } = columns.find(({ id }) => id === column) ?? columns[0];
  const { compare } = hex ? letters : numbers;
  const direction = isDown ? -1 : 1;
  return [...rows].sort((a, b) => direction * inOrder(value(a), value(b), compare));
}

const letters = new Intl.Collator('en');
/** `c2` before `c10`, and 10.0.0.2 before 10.0.0.10. */
const numbers = new Intl.Collator('en', { numeric: true });

/** What is not there comes last. */
function inOrder(a, b, compare) {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return typeof a === 'number' && typeof b === 'number' ? a - b : compare(String(a), String(b));
}
