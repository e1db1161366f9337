// The hosts that share the store, every VTEP, every tunnel, and the workers of this host.

import { html, useMemo } from './dom.js';
import { bitRate, moment, perSecond, roundTrip, whole } from './format.js';
import { workerKey } from './rates.js';
import { retouch } from './route.js';
import { sceneOf } from './scene.js';
import { Table } from './table.js';

export function Hosts({ status, networks, counters, hosts = [], book, query }) {
  const scene = sceneOf({ status, networks, counters, hosts, book });
  const columns = useMemo(tunnelColumns, []);
  const tunnels = scene.hosts.flatMap((host) =>
    host.tunnels.length === 0 ? [{ host }] : host.tunnels.map((tunnel) => ({ host, ...tunnel })),
  );
  const endpoints = new Map(hosts.map(({ address, endpoints }) => [address, endpoints]));
  const rows = tunnels.map((row) => ({ ...row, endpoints: endpoints.get(row.host.address) }));
  return html`
    <section>
      <${Table}
        label="Hosts and tunnels"
        columns=${columns}
        rows=${rows}
        rowKey=${({ host, network, counters }) => `${host.address} ${network} ${counters?.name}`}
        query=${query.q ?? ''}
        onQuery=${(q) => retouch('hosts', { q })}
        sortBy="address"
        hint="one row for each tunnel"
      />
      <${Workers} counters=${counters} book=${book} />
    </section>
  `;
}

function Workers({ counters, book }) {
  const { workers, underlay } = counters;
  return html`
    <h2>Workers of this host</h2>
    <div class="wide" tabindex="0" role="region" aria-label="Workers">
      <table aria-label="Workers">
        <thead>
          <tr>
            <th scope="col">worker</th><th scope="col" class="number">busy</th>
            <th scope="col" class="number">frames in</th><th scope="col" class="number">frames out</th>
            <th scope="col" class="number">turns</th><th scope="col" class="number">sleeps</th>
          </tr>
        </thead>
        <tbody>
          ${workers.map((worker, index) => {
            const rates = book.of(workerKey(index));
            return html`
              <tr>
                <td>${index}</td>
                <td class="number">${rates === undefined ? '–' : `${(rates.busy_us / 10_000).toFixed(1)} %`}</td>
                <td class="number">${perSecond(rates?.rx_frames)}</td>
                <td class="number">${perSecond(rates?.tx_frames)}</td>
                <td class="number">${whole(worker.turns)}</td>
                <td class="number">${whole(worker.sleeps)}</td>
              </tr>
            `;
          })}
        </tbody>
      </table>
    </div>
    <p class="dim">
      Datagrams cross the kernel by ${underlay.path}; ${whole(underlay.datagrams)} came so far.
    </p>
  `;
}

function tunnelColumns() {
  const rate = (id, title, name, show) => ({
    ...{ id, title, numeric: true, still: true },
    value: ({ rates }) => rates?.[name],
    cell: ({ rates }) => show(rates?.[name]),
  });
  const stateOf = ({ host }) => (host.lease === 'lost' ? 'lost' : (host.vtep?.state ?? 'unknown'));
  return [
    { id: 'address', title: 'VTEP', value: ({ host, counters }) => counters?.name ?? host.address },
    { id: 'host', title: 'host', value: ({ host }) => host.name || undefined },
    {
      ...{ id: 'network', title: 'network', value: ({ network }) => network },
      cell: ({ network, colour }) =>
        network === undefined
          ? html`<span class="dim">none in common</span>`
          : html`<span class=${`swatch colour${colour}`}></span>${network}`,
    },
    { id: 'vni', title: 'VNI', numeric: true, value: ({ vni }) => vni },
    {
      id: 'state',
      title: 'state',
      value: stateOf,
      cell: (row) => html`<span class=${`state ${stateOf(row)}`}>${stateOf(row)}</span>`,
    },
    {
      ...{ id: 'heard', title: 'heard', still: true, value: ({ host }) => host.vtep?.heard_at },
      cell: ({ host }) => moment(host.vtep?.heard_at),
    },
    {
      ...{
        id: 'rtt',
        title: 'round trip',
        numeric: true,
        still: true,
        value: ({ host }) => host.vtep?.rtt_us,
      },
      cell: ({ host }) => roundTrip(host.vtep?.rtt_us),
    },
    { id: 'mtu', title: 'path MTU', numeric: true, value: ({ pathMtu }) => pathMtu },
    rate('in', 'in', 'rx_bytes', bitRate),
    rate('out', 'out', 'tx_bytes', bitRate),
    rate('drops', 'dropped', 'drops', perSecond),
    {
      id: 'macs',
      title: 'MACs',
      numeric: true,
      still: true,
      value: ({ counters }) => counters?.macs,
    },
    {
      id: 'endpoints',
      title: 'endpoints',
      numeric: true,
      still: true,
      value: ({ endpoints }) => endpoints,
    },
  ];
}
