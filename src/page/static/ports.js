// Ports of this host with what goes through them.

import { html, useMemo } from './dom.js';
import { bitRate, perSecond, whole } from './format.js';
import { portKey } from './rates.js';
import { retouch } from './route.js';
import { coloursOf } from './scene.js';
import { Sparkline } from './sparkline.js';
import { Table } from './table.js';

export function Ports({ networks = [], counters, book, query }) {
  const rows = rowsOf(networks, counters, book);
  const columns = useMemo(() => columnsOf(book), [book]);
  return html`
    <section>
      <${Table}
        label="Ports"
        columns=${columns}
        rows=${rows}
        rowKey=${(row) => row.name}
        query=${query.q ?? ''}
        onQuery=${(q) => retouch('ports', { q })}
        hint="in: to the container; out: from it"
      />
    </section>
  `;
}

function rowsOf(networks, counters, book) {
  const colours = coloursOf(counters.networks);
  const counted = new Map(
    counters.networks.flatMap(({ name, ports }) =>
      ports.map((port) => [portKey(name, port.name), port]),
    ),
  );
  return networks.flatMap(({ name: network, ports }) =>
    ports.map((port) => {
      const key = portKey(network, port.name);
      const drops = (counted.get(key)?.drops ?? []).reduce((sum, { frames }) => sum + frames, 0);
      return { ...port, colour: colours.get(network), rates: book.of(key), drops };
    }),
  );
}

function columnsOf(book) {
  const rate = (id, title, name, show) => ({
    ...{ id, title, numeric: true, still: true },
    value: ({ rates }) => rates?.[name],
    cell: ({ rates }) => show(rates?.[name]),
  });
  return [
    { id: 'name', title: 'port', value: ({ name }) => name },
    {
      ...{ id: 'network', title: 'network', value: ({ network }) => network },
      cell: ({ network, colour }) =>
        html`<span class=${`swatch colour${colour}`}></span>${network}`,
    },
    {
      ...{ id: 'state', title: 'state', value: ({ state, reason }) => `${state} ${reason ?? ''}` },
      cell: ({ state, reason }) =>
        html`<span class=${`state ${state}`} title=${reason}>${state}</span>`,
    },
    {
      id: 'where',
      title: 'namespace',
      value: ({ container, netns }) => container ?? netns?.replace(/^(\/var)?\/run\/netns\//, ''),
    },
    { id: 'ifname', title: 'interface', value: ({ ifname }) => ifname },
    {
      ...{ id: 'mac', title: 'MAC', hex: true, value: ({ mac }) => mac },
      cell: ({ mac }) => html`<code>${mac}</code>`,
    },
    { id: 'addresses', title: 'addresses', value: ({ addresses }) => addresses.join(' ') },
    { id: 'mtu', title: 'MTU', numeric: true, value: ({ mtu }) => mtu },
    rate('in', 'in', 'tx_bytes', bitRate),
    rate('out', 'out', 'rx_bytes', bitRate),
    rate('inFrames', 'frames in', 'tx_frames', perSecond),
    rate('outFrames', 'frames out', 'rx_frames', perSecond),
    {
      ...{
        id: 'past',
        title: '90 s',
        still: true,
        value: ({ rates }) => (rates?.rx_bytes ?? 0) + (rates?.tx_bytes ?? 0),
      },
      cell: ({ network, name }) =>
        html`<${Sparkline} book=${book} network=${network} port=${name} />`,
    },
    {
      ...{ id: 'drops', title: 'dropped', numeric: true, still: true, value: ({ drops }) => drops },
      cell: ({ drops }) => html`<span class=${drops > 0 ? 'bad' : ''}>${whole(drops)}</span>`,
    },
  ];
}
