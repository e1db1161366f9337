// The forwarding database: which MAC is where, and who said so.

import { html } from './dom.js';
import { duration } from './format.js';
import { usePolled } from './polling.js';
import { retouch } from './route.js';
import { Table } from './table.js';
import { Trouble } from './trouble.js';

export function Fdb({ query }) {
  const { answer, trouble } = usePolled('/v1/fdb', 3);
  return html`
    <section>
      <${Trouble} of=${trouble} />
      <${Table}
        label="FDB"
        columns=${COLUMNS}
        rows=${answer ?? NONE}
        rowKey=${(row) => `${row.network} ${row.mac} ${row.origin} ${row.port ?? row.vtep ?? ''}`}
        query=${query.q ?? ''}
        onQuery=${(q) => retouch('fdb', { q })}
        sortBy="mac"
        hint="by MAC, port, VTEP, network, origin; several words narrow it"
      />
    </section>
  `;
}

const NONE = [];

const COLUMNS = [
  {
    ...{ id: 'mac', title: 'MAC', hex: true, value: ({ mac }) => mac },
    cell: ({ mac }) => html`<code>${mac}</code>`,
  },
  { id: 'network', title: 'network', value: ({ network }) => network },
  { id: 'vni', title: 'VNI', numeric: true, value: ({ vni }) => vni },
  {
    ...{ id: 'where', title: 'behind', value: ({ port, vtep }) => port ?? vtep },
    cell: ({ port, vtep, local }) =>
      html`${port === undefined ? 'VTEP' : 'port'} <strong>${port ?? vtep ?? (local ? 'this host' : '')}</strong>`,
  },
  { id: 'tunnelVni', title: 'by VNI', numeric: true, value: ({ tunnel_vni }) => tunnel_vni },
  {
    ...{ id: 'origin', title: 'origin', value: ({ origin }) => origin },
    cell: ({ origin }) => html`<span class=${`tag ${origin}`}>${origin}</span>`,
  },
  {
    ...{
      id: 'active',
      title: 'in use',
      still: true,
      value: ({ active }) => (active ? 'yes' : 'no'),
    },
    cell: ({ active }) => (active ? 'yes' : html`<span class="dim">no</span>`),
  },
  {
    ...{ id: 'idle', title: 'idle', numeric: true, still: true, value: ({ idle }) => idle },
    cell: ({ idle }) => duration(idle),
  },
];
