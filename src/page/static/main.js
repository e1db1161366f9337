// The page: its head, which says how things are, and one view at a time.

import { Endpoints, Neighbors } from './addresses.js';
import { ask } from './api.js';
import { CaptureForm } from './capture.js';
import { html, render, useEffect, useRef, useState } from './dom.js';
import { Drops } from './drops.js';
import { Fdb } from './fdb.js';
import { Head } from './head.js';
import { History } from './history.js';
import { Hosts } from './hosts.js';
import { Overview } from './overview.js';
import { poll, usePolled } from './polling.js';
import { Ports } from './ports.js';
import { DropTimeline, RateBook } from './rates.js';
import { routeTo, useRoute } from './route.js';
import { TraceForm } from './trace.js';

/** Moments of the chart of drops: ten minutes. */
const MOMENTS = 600;

const VIEWS = [
  { name: '', title: 'Overview', View: Overview },
  { name: 'ports', title: 'Ports', View: Ports },
  { name: 'fdb', title: 'FDB', View: Fdb },
  { name: 'neighbors', title: 'Neighbors', View: Neighbors },
  { name: 'endpoints', title: 'Endpoints', View: Endpoints },
  { name: 'hosts', title: 'Hosts', View: Hosts },
  { name: 'drops', title: 'Drops', View: Drops },
  { name: 'history', title: 'History', View: History },
  { name: 'trace', title: 'Trace', View: TraceForm },
  { name: 'capture', title: 'Capture', View: CaptureForm },
];

function Page() {
  const { view, query } = useRoute();
  const live = useLive();
  const status = usePolled('/v1/status', 2).answer;
  const networks = usePolled('/v1/networks', 2).answer;
  const hosts = usePolled('/v1/hosts', 3).answer;
  const drops = usePolled('/v1/drops', 1).answer;
  const { title, View } = VIEWS.find(({ name }) => name === view) ?? VIEWS[0];
  return html`
    <${Head} status=${status} drops=${drops} live=${live} />
    <nav aria-label="Views">
      ${VIEWS.map(
        ({ name, title: text }) =>
          html`<a href=${routeTo(name)} aria-current=${name === view ? 'page' : undefined}>${text}</a>`,
      )}
    </nav>
    <main class=${live.trouble === undefined ? '' : 'stale'}>
      <h1 class="spoken">${title}</h1>
      ${live.counters !== undefined && html`<${View} ...${{ ...live, status, networks, hosts, drops, query }} />`}
    </main>
  `;
}

/** Counters with their rates, once a second, and what goes wrong with that. */
function useLive() {
  const { book, timeline } = useRef({
    book: new RateBook(),
    timeline: new DropTimeline(MOMENTS),
  }).current;
  const [known, setKnown] = useState({});
  useEffect(
    () =>
      poll(
        (_, signal) => ask('/v1/counters', { signal }),
        1,
        ({ answer, trouble }) => {
          const isNews = trouble === undefined && book.take(answer);
          const rates = isNews ? book.dropRates() : undefined;
          if (rates !== undefined) timeline.add(book.at, rates);
          setKnown({ counters: answer, trouble });
        },
      ),
    [],
  );
  return { ...known, book, timeline };
}

render(html`<${Page} />`, document.getElementById('page'));
