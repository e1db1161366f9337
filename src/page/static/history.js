// What has changed what the switch does, or happened for the first time.

import { html, useMemo, useState } from './dom.js';
import { moment } from './format.js';
import { useHistory } from './polling.js';
import { retouch } from './route.js';
import { Table } from './table.js';
import { Trouble } from './trouble.js';

const SPANS = [
  ['5 minutes', 5],
  ['1 hour', 60],
  ['1 day', 1440],
  ['ever', undefined],
];
const NONE = [];

export function History({ networks = [], counters, query }) {
  const { q = '', mac = '', ip = '', network = '', port = '' } = query;
  const [span, setSpan] = useState(undefined);
  // One moment for each choice: it must not run ahead with the clock, or each look were another question.
  const since = useMemo(
    () => (span === undefined ? undefined : new Date(Date.now() - span * 60_000).toISOString()),
    [span],
  );
  const { answer, trouble } = useHistory({ network, port, mac, ip, since }, 3, counters.started_at);
  const rows = useMemo(() => [...(answer?.lines ?? NONE)].reverse(), [answer]);
  const filter = (change) => retouch('history', { ...query, ...change });
  return html`
    <section>
      <form class="tools" onSubmit=${(event) => event.preventDefault()}>
        <label>Network
          <select value=${network} onChange=${(event) => filter({ network: event.currentTarget.value })}>
            <option value="">any</option>
            ${networks.map(({ name }) => html`<option value=${name}>${name}</option>`)}
          </select>
        </label>
        <label>MAC <input class="short" value=${mac} placeholder="02:42:0a:00:00:01" onChange=${(event) => filter({ mac: event.currentTarget.value.trim() })} /></label>
        <label>IP address <input class="short" value=${ip} placeholder="10.0.0.1" onChange=${(event) => filter({ ip: event.currentTarget.value.trim() })} /></label>
        <label>Since
          <select onChange=${(event) => setSpan(SPANS[event.currentTarget.selectedIndex][1])}>
            ${SPANS.map(([name, minutes]) => html`<option selected=${minutes === span}>${name}</option>`)}
          </select>
        </label>
      </form>
      <${Trouble} of=${trouble} />
      <${Table}
        label="History"
        columns=${COLUMNS}
        rows=${rows}
        rowKey=${({ seq }) => seq}
        query=${q}
        onQuery=${(text) => filter({ q: text })}
        hint=${answer && `nothing is missing since ${moment(answer.complete_since)}`}
      />
    </section>
  `;
}

const COLUMNS = [
  // As it comes: the newest first.
  {
    ...{ id: 'at', title: 'time', value: ({ seq }) => -seq },
    cell: ({ at }) => html`<time datetime=${at}>${moment(at)}</time>`,
  },
  { id: 'kind', title: 'what', value: ({ kind }) => kind },
  { id: 'network', title: 'network', value: ({ network }) => network },
  {
    ...{
      id: 'sentence',
      title: 'in words',
      value: ({ sentence, mac, ip }) => `${sentence} ${mac ?? ''} ${ip ?? ''}`,
    },
    cell: ({ sentence }) => html`<span class="sentence">${sentence}</span>`,
  },
];
