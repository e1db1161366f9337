// The head of the page: whose page it is, how it is, and whether what stands below is of this moment.

import { html } from './dom.js';
import { bitRate, duration, moment, perSecond } from './format.js';
import { dropRate, hostRates } from './scene.js';

export function Head({ status, drops, live }) {
  const { counters, trouble, book } = live;
  const rates = counters && hostRates(counters, book);
  return html`
    <header>
      <strong class="product">vswitchd</strong>
      ${
        status !== undefined &&
        html`
        <span>${status.vtep.address}<span class="dim">:${status.vtep.port}</span></span>
        <span class=${`state ${status.state}`}>${status.state}</span>
        <span class=${`store state ${status.store.state}`} title=${[status.store.name, status.store.detail].filter(Boolean).join(': ')}>store ${status.store.name.split('://')[0]}: ${status.store.state}</span>
        <span class="dim">up ${duration(uptime(status, counters))}</span>
        <span class="dim">version ${status.version}</span>
      `
      }
      <span class="space"></span>
      <span class="number" title="to the containers of this host, and from them">↓ ${bitRate(rates?.tx_bytes)} ↑ ${bitRate(rates?.rx_bytes)}</span>
      ${drops !== undefined && counters !== undefined && html`<span class="number">${perSecond(dropRate(drops, book))} dropped</span>`}
      ${counters !== undefined && !counters.balanced && html`<span class="state gone">sums do not hold</span>`}
    </header>
    <div role="status">
      ${
        trouble !== undefined &&
        html`<p class="alarm lost">${sentenceOf(trouble)} ${counters !== undefined && html`What stands here is of ${moment(counters.at)}.`}</p>`
      }
    </div>
    ${status !== undefined && status.warnings.length > 0 && html`<${Warnings} warnings=${status.warnings} />`}
  `;
}

function Warnings({ warnings }) {
  if (warnings.length === 1) return html`<p class="warning">${warnings[0]}</p>`;
  return html`
    <details class="warning" open=${warnings.length < 4}>
      <summary>${warnings.length} warnings</summary>
      <ul>${warnings.map((warning) => html`<li>${warning}</li>`)}</ul>
    </details>
  `;
}

function sentenceOf(trouble) {
  if (trouble.name === 'Away')
    return 'Connection lost: vswitchd does not answer. It is asked again every second.';
  if (trouble.status === 401) return 'This page wants its token: open it once as /?token=TOKEN.';
  return `vswitchd refuses: ${trouble.message}.`;
}

function uptime({ started_at }, counters) {
  return (
    ((counters === undefined ? Date.now() : Date.parse(counters.at)) - Date.parse(started_at)) /
    1000
  );
}
