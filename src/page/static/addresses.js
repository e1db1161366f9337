// IP addresses and containers, on all hosts.

import { html } from './dom.js';
import { usePolled } from './polling.js';
import { retouch } from './route.js';
import { Table } from './table.js';
import { Trouble } from './trouble.js';

const NONE = [];

export function Endpoints({ query }) {
  const { answer, trouble } = usePolled('/v1/endpoints', 3);
  return html`
    <section>
      <${Trouble} of=${trouble} />
      <${Table}
        label="Endpoints"
        columns=${ENDPOINTS}
        rows=${answer ?? NONE}
        rowKey=${(row) => `${row.network} ${row.id}`}
        query=${query.q ?? ''}
        onQuery=${(q) => retouch('endpoints', { q })}
        hint="containers on all hosts that share the store"
      />
    </section>
  `;
}

export function Neighbors({ query }) {
  const { answer, trouble } = usePolled('/v1/neighbors', 3);
  return html`
    <section>
      <${Trouble} of=${trouble} />
      <${Table}
        label="Neighbors"
        columns=${NEIGHBORS}
        rows=${answer ?? NONE}
        rowKey=${(row) => `${row.network} ${row.ip} ${row.mac}`}
        query=${query.q ?? ''}
        onQuery=${(q) => retouch('neighbors', { q })}
        hint="ARP and neighbor discovery about live ones are answered here"
      />
    </section>
  `;
}

const mac = {
  ...{ id: 'mac', title: 'MAC', hex: true, value: (row) => row.mac },
  cell: (row) => html`<code>${row.mac}</code>`,
};
const state = {
  ...{ id: 'state', title: 'state', value: (row) => row.state },
  cell: (row) => html`<span class=${`state ${row.state}`}>${row.state}</span>`,
};
const network = { id: 'network', title: 'network', value: (row) => row.network };

const ENDPOINTS = [
  { id: 'name', title: 'name', value: ({ name, id }) => name ?? id },
  network,
  { id: 'addresses', title: 'addresses', value: ({ addresses }) => addresses.join(' ') },
  mac,
  { id: 'host', title: 'host', value: ({ host }) => host },
  state,
  { id: 'aliases', title: 'aliases', value: ({ aliases }) => aliases.join(' ') },
];

const NEIGHBORS = [
  { id: 'ip', title: 'address', value: ({ ip }) => ip },
  network,
  mac,
  { id: 'vtep', title: 'behind', value: ({ vtep }) => vtep ?? 'this host' },
  state,
];
