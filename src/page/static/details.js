// What is known of the thing that is chosen in the picture.

import { html } from './dom.js';
import { bitRate, bytes, moment, perSecond, roundTrip, whole } from './format.js';
import { routeTo } from './route.js';

export function Details({ selected, scene, onClose }) {
  const found = described(selected, scene);
  return html`
    <section class="card details" aria-label="Details">
      <h2>
        ${found === undefined ? 'It is gone' : found.title}
        <button type="button" class="close" onClick=${onClose} aria-label="Close the details">✕</button>
      </h2>
      ${
        found !== undefined &&
        html`
        <dl class="facts">
          ${found.facts
            .filter(([, value]) => value !== undefined && value !== '')
            .map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
        </dl>
        <${DropList} drops=${found.drops} />
      `
      }
    </section>
  `;
}

/** Reasons with their numbers and sentences; nothing where nothing was dropped. */
function DropList({ drops }) {
  const counted = drops.filter(({ frames }) => frames > 0);
  if (counted.length === 0) return html`<p class="dim">Nothing was dropped here.</p>`;
  return html`
    <table>
      <thead>
        <tr><th scope="col">Dropped</th><th scope="col" class="number">frames</th><th scope="col"></th></tr>
      </thead>
      <tbody>
        ${counted.map(
          ({ reason, frames, sentence }) => html`
            <tr><td><code>${reason}</code></td><td class="number">${whole(frames)}</td><td>${sentence}</td></tr>
          `,
        )}
      </tbody>
    </table>
  `;
}

function described(selected, scene) {
  switch (selected.kind) {
    case 'network':
      return describedNetwork(scene.networks.find(({ name }) => name === selected.network));
    case 'port':
      return describedPort(
        scene.networks
          .find(({ name }) => name === selected.network)
          ?.ports.find(({ name }) => name === selected.port),
        selected.network,
      );
    case 'host':
      return describedHost(scene.hosts.find(({ address }) => address === selected.address));
    default:
      return describedTunnel(
        scene.hosts.find(({ address }) => address === selected.address),
        selected,
      );
  }
}

function describedNetwork(network) {
  if (network === undefined) return undefined;
  const { name, vni, view, counters, ports } = network;
  return {
    title: `Network ${name}`,
    facts: [
      ['VNI', vni],
      ['subnet', view?.subnet],
      ['MTU', view?.mtu],
      ['state', view && (view.up ? 'up' : 'down')],
      ['comes from', view?.source],
      ['peers', view && (view.open ? 'anybody may send' : `${view.peers.length}, a closed list`)],
      ['ports', ports.length],
      ['MACs', html`<a href=${routeTo('fdb', { q: name })}>${whole(counters.fdb.macs)}</a>`],
      ['learned', whole(counters.fdb.learned)],
      ['moved', whole(counters.fdb.moved)],
      ['unicast', `${whole(counters.unicast)} frames`],
      ['flooded', `${whole(counters.flooded)} frames`],
      ['answered here', `${whole(counters.consumed)} frames`],
    ],
    drops: counters.drops,
  };
}

function describedPort(port, network) {
  if (port === undefined) return undefined;
  const { name, state, view, rates } = port;
  return {
    title: `Port ${name}`,
    facts: [
      ['network', network],
      ['state', view.reason ? `${state}: ${view.reason}` : state],
      ['namespace', view.netns],
      ['interface', view.ifname],
      ['MAC', view.mac],
      ['addresses', view.addresses?.join(' ')],
      ['container', view.container],
      ['MTU', view.mtu],
      ...traffic(port.counters, rates, ['from the container', 'to the container']),
    ],
    drops: port.counters?.drops ?? [],
  };
}

function describedHost(host) {
  if (host === undefined) return undefined;
  const { address, name, vtep, lease, tunnels } = host;
  return {
    title: `Host ${name || address}`,
    facts: [
      ['VTEP', address],
      ['state', vtep?.state],
      ['in the store', lease],
      ['heard', vtep?.heard_at && moment(vtep.heard_at)],
      ['round trip', vtep?.rtt_us !== undefined ? roundTrip(vtep.rtt_us) : undefined],
      [
        'mean round trip',
        vtep?.mean_rtt_us !== undefined ? roundTrip(vtep.mean_rtt_us) : undefined,
      ],
      ['asked and answered', vtep && `${whole(vtep.asked)} / ${whole(vtep.answered)}`],
      ['networks', tunnels.map(({ network }) => network).join(' ')],
      ['MACs', html`<a href=${routeTo('fdb', { q: address })}>behind it</a>`],
    ],
    drops: tunnels.flatMap(({ counters }) => counters.drops),
  };
}

function describedTunnel(host, selected) {
  const tunnel = host?.tunnels.find(
    ({ network, counters }) => network === selected.network && counters.name === selected.tunnel,
  );
  if (tunnel === undefined) return undefined;
  const { network, vni, counters, rates, pathMtu, origin } = tunnel;
  return {
    title: `Tunnel of ${network} to ${host.name || host.address}`,
    facts: [
      ['VTEP', counters.name],
      ['VNI', vni],
      ['named by', origin === 'control' ? 'the store' : origin && 'people'],
      ['path MTU', pathMtu ?? 'nothing smaller seen'],
      ['round trip', host.vtep?.rtt_us !== undefined ? roundTrip(host.vtep.rtt_us) : undefined],
      ['MACs behind it', whole(counters.macs)],
      [
        'unreachable',
        counters.unreachable > 0 ? `${whole(counters.unreachable)} times` : undefined,
      ],
      ...traffic(counters, rates, ['in', 'out']),
    ],
    drops: counters.drops,
  };
}

function traffic(counters, rates, [rx, tx]) {
  if (counters === undefined) return [];
  const { rx_frames, rx_bytes, tx_frames, tx_bytes } = counters;
  return [
    [rx, `${bitRate(rates?.rx_bytes)}, ${perSecond(rates?.rx_frames)}`],
    [`${rx}, so far`, `${whole(rx_frames)} frames, ${bytes(rx_bytes)}`],
    [tx, `${bitRate(rates?.tx_bytes)}, ${perSecond(rates?.tx_frames)}`],
    [`${tx}, so far`, `${whole(tx_frames)} frames, ${bytes(tx_bytes)}`],
  ];
}
