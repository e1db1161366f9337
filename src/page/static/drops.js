// What was dropped, why, and when.

import { Chart } from './chart.js';
import { html, useState } from './dom.js';
import { perSecond, whole } from './format.js';
import { dropKey } from './rates.js';

export function Drops({ drops = [], counters, timeline, book }) {
  const [isAll, setAll] = useState(false);
  const seen = drops.filter(({ frames }) => frames > 0);
  const rows = seen
    .map(({ reason }) => ({ name: reason, values: timeline.rows.get(reason) }))
    .filter(({ values }) => values !== undefined);
  const shown = isAll ? drops : seen;
  return html`
    <section>
      ${
        rows.length === 0
          ? html`<p class="empty">Nothing has been dropped on this host since its vswitchd was started.</p>`
          : html`<${Chart} label="Frames dropped per second, by reason, since this page was opened" times=${timeline.times} rows=${rows} />`
      }
      <div class="tools">
        <label><input type="checkbox" checked=${isAll} onChange=${() => setAll(!isAll)} /> also reasons that never happened</label>
        <span class=${counters.balanced ? 'dim' : 'bad'}>
          ${
            counters.balanced
              ? 'The sums hold: every frame left, was consumed, or stands here.'
              : 'The sums do not hold: frames were lost without a name, which is a bug.'
          }
        </span>
      </div>
      <div class="wide" tabindex="0" role="region" aria-label="Drop reasons">
        <table aria-label="Drop reasons">
          <thead>
            <tr>
              <th scope="col">reason</th><th scope="col" class="number">frames</th>
              <th scope="col" class="number">now</th><th scope="col">counted at</th><th scope="col">why</th>
            </tr>
          </thead>
          <tbody>
            ${shown.map((drop) => html`<${Reason} drop=${drop} rate=${book.of(dropKey(drop.reason))?.frames} />`)}
          </tbody>
        </table>
      </div>
      <${Places} counters=${counters} />
    </section>
  `;
}

function Reason({ drop, rate }) {
  const { reason, frames, stage, sentence } = drop;
  return html`
    <tr>
      <td><code>${reason}</code></td>
      <td class="number">${whole(frames)}</td>
      <td class=${`number ${rate >= 0.05 ? 'bad' : ''}`}>${perSecond(rate ?? 0)}</td>
      <td>${stage}</td>
      <td class="sentence">${sentence}</td>
    </tr>
  `;
}

/** Where: the underlay, networks, ports, tunnels. */
function Places({ counters }) {
  const places = placesOf(counters);
  if (places.length === 0) return null;
  return html`
    <h2>Where</h2>
    <div class="wide" tabindex="0" role="region" aria-label="Places">
      <table aria-label="Drops by place">
        <thead>
          <tr>
            <th scope="col">network</th><th scope="col">port or tunnel</th>
            <th scope="col">reason</th><th scope="col" class="number">frames</th>
          </tr>
        </thead>
        <tbody>
          ${places.map(
            ({ network, port, reason, frames }) => html`
              <tr><td>${network}</td><td>${port}</td><td><code>${reason}</code></td><td class="number">${whole(frames)}</td></tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
}

function placesOf({ underlay, networks }) {
  const at = (network, port, { drops }) => drops.map((drop) => ({ network, port, ...drop }));
  return [
    ...at('–', 'underlay', underlay),
    ...networks.flatMap((network) => [
      ...at(network.name, 'the network itself', network),
      ...at(network.name, 'removed ports', network.retired),
      ...network.ports.flatMap((port) => at(network.name, port.name, port)),
    ]),
  ].filter(({ frames }) => frames > 0);
}
