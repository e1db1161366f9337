// The overview as a picture: who is there, and what goes between them at this moment.

import { html, useLayoutEffect, useRef, useState } from './dom.js';
import { bitRate, moment, perSecond, roundTrip, shortened } from './format.js';
import { placed } from './layout.js';

/** Draws `scene`; `selected` is a selection as `onSelect` gives it: `{ kind, ... }` or undefined. */
export function Picture({ scene, selected, onSelect }) {
  const frame = useRef(null);
  const width = useWidth(frame);
  const layout = placed(scene, width);
  const choose = chooser(selected, onSelect);
  return html`
    <div class="picture" ref=${frame}>
      <svg
        width=${layout.width}
        height=${layout.height}
        viewBox=${`0 0 ${layout.width} ${layout.height}`}
        role="group"
        aria-label="This host, its networks and ports, and the hosts around it"
      >
        ${layout.hosts.flatMap((host) =>
          host.lanes.map(
            (lane) =>
              html`<${Lane} lane=${lane} host=${host} roomy=${layout.isRoomy} choose=${choose} />`,
          ),
        )}
        ${layout.hosts.map((host) => html`<${Host} place=${host} choose=${choose} />`)}
        <${Self} place=${layout.self} self=${scene.self} />
        ${layout.blocks.map((block) => html`<${Network} block=${block} choose=${choose} />`)}
      </svg>
    </div>
  `;
}

/** Whether two selections mean the same thing. */
export function isSame(a, b) {
  if (a === undefined || b === undefined) return a === b;
  return ['kind', 'network', 'address', 'tunnel', 'port'].every((name) => a[name] === b[name]);
}

/** What makes a part of the picture a button: by mouse, by keyboard, and by name. */
function chooser(selected, onSelect) {
  return (selection, label) => {
    const isSelected = isSame(selection, selected);
    const toggle = () => onSelect(isSelected ? undefined : selection);
    return {
      role: 'button',
      tabindex: 0,
      'aria-label': label,
      'aria-pressed': isSelected,
      onClick: toggle,
      onKeyDown: (event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        toggle();
      },
    };
  };
}

function Self({ place, self }) {
  const { x, y, width, height } = place;
  return html`
    <g class="self">
      <rect class="box" x=${x} y=${y} width=${width} height=${height} rx="8" />
      <text class="title" x=${x + 14} y=${y + 22}>${shortened(self.name || 'this host', 30)}</text>
      <text class="dim" x=${x + 14} y=${y + 39}>${self.address}</text>
      ${self.name && html`<text class="dim end" x=${x + width - 14} y=${y + 22}>this host</text>`}
    </g>
  `;
}

function Network({ block, choose }) {
  const { network, x, y, width, height, ports, more } = block;
  const label = `Network ${network.name}, VNI ${network.vni}, ${network.ports.length} ports`;
  const isDown = network.view?.up === false;
  return html`
    <g class=${`network colour${network.colour} ${isDown ? 'down' : ''}`}>
      <g class="choice" ...${choose({ kind: 'network', network: network.name }, label)}>
        <title>${label}</title>
        <rect class="block" x=${x} y=${y} width=${width} height=${height} rx="5" />
        <rect class="bar" x=${x} y=${y} width="4" height=${height} rx="2" />
        <text class="name" x=${x + 14} y=${y + 20}>${shortened(network.name, 20)}</text>
        <text class="dim end" x=${x + width - 10} y=${y + 20}>
          ${isDown ? 'down · ' : ''}VNI ${network.vni}
        </text>
      </g>
      ${ports.map((port) => html`<${Port} place=${port} block=${block} choose=${choose} />`)}
      ${
        more > 0 && html`<text class="dim" x=${x + 26} y=${y + height - 13}>and ${more} more</text>`
      }
    </g>
  `;
}

function Port({ place, block, choose }) {
  const { port, y } = place;
  const { x, width, network } = block;
  const rates = port.rates;
  const label = `Port ${port.name}, ${port.state}: in ${bitRate(rates?.tx_bytes)}, out ${bitRate(rates?.rx_bytes)}`;
  const selection = { kind: 'port', network: network.name, port: port.name };
  return html`
    <g class=${`port ${port.state}`}>
      <g class="choice" ...${choose(selection, label)}>
        <title>${label}</title>
        <rect class="hit" x=${x + 8} y=${y - 11} width=${width - 12} height="22" rx="3" />
        <circle class="lamp" cx=${x + 19} cy=${y} r="3.5" />
        <text x=${x + 30} y=${y + 4}>${shortened(port.name, 18)}</text>
        <text class="rate end" x=${x + width - 10} y=${y + 4}>
          ${port.state === 'up' ? `↓ ${bitRate(rates?.tx_bytes)}  ↑ ${bitRate(rates?.rx_bytes)}` : port.state}
        </text>
      </g>
    </g>
  `;
}

function Host({ place, choose }) {
  const { host, x, y, width, height } = place;
  const middle = y + height / 2;
  const lines = [host.name && host.address, stateOf(host)].filter(Boolean);
  const label = `Host ${host.name || host.address}: ${stateOf(host) || 'nothing known'}`;
  const first = middle - ((lines.length - 1) * 16) / 2 - 4;
  return html`
    <g class=${`host ${isSilent(host) ? 'silent' : ''}`}>
      <g class="choice" ...${choose({ kind: 'host', address: host.address }, label)}>
        <title>${label}</title>
        <rect class="box" x=${x} y=${y} width=${width} height=${height} rx="8" />
        <text class="title" x=${x + 14} y=${first}>${shortened(host.name || host.address, 22)}</text>
        ${lines.map(
          (line, index) =>
            html`<text class="dim" x=${x + 14} y=${first + 17 + index * 16}>${shortened(line, 27)}</text>`,
        )}
      </g>
    </g>
  `;
}

function Lane({ lane, host, roomy, choose }) {
  const { tunnel, path, y, label } = lane;
  const { rates } = tunnel;
  const state = isSilent(host.host) ? 'silent' : '';
  const flow = `in ${bitRate(rates?.rx_bytes)} · out ${bitRate(rates?.tx_bytes)}`;
  const spoken = `Tunnel of network ${tunnel.network} to ${host.host.address}: ${flow}, ${perSecond(rates?.drops)} dropped`;
  const selection = {
    kind: 'tunnel',
    network: tunnel.network,
    address: host.host.address,
    tunnel: tunnel.counters.name,
  };
  return html`
    <g class=${`lane colour${tunnel.colour} ${state}`}>
      <g class="choice" ...${choose(selection, spoken)}>
        <title>${spoken}</title>
        <path class="hit" d=${path} />
        <path class="edge" d=${path} stroke-width=${thickness(rates)} />
        <text class="flow middle" x=${label.x} y=${y - 6}>${flow}</text>
        ${roomy && html`<text class="facts middle" x=${label.x} y=${y + 15}>${facts(tunnel, host.host)}</text>`}
      </g>
    </g>
  `;
}

/** What is known of a tunnel beside its rates. */
function facts({ pathMtu, rates }, { vtep }) {
  const dropped = rates !== undefined && rates.drops >= 0.05;
  return html`${[
    vtep?.rtt_us !== undefined && roundTrip(vtep.rtt_us),
    pathMtu !== undefined && `MTU ${pathMtu}`,
  ]
    .filter(Boolean)
    .join(
      ' · ',
    )}${dropped && html`<tspan class="bad"> · ${perSecond(rates.drops)} dropped</tspan>`}`;
}

function stateOf({ vtep, lease, tunnels }) {
  if (lease === 'lost') return 'lost: its lease has ended';
  if (vtep?.state === 'silent') return `silent since ${moment(vtep.heard_at)}`;
  if (vtep?.state === 'alive') {
    return vtep.rtt_us === undefined ? 'alive' : `alive, ${roundTrip(vtep.rtt_us)}`;
  }
  if (tunnels.length === 0) return 'no network in common';
  return vtep === undefined ? '' : 'not heard of yet';
}

function isSilent({ vtep, lease }) {
  return vtep?.state === 'silent' || lease === 'lost';
}

/** Grows with the number of digits: 1 kb/s can be told from nothing, 10 Gb/s from 1. */
function thickness(rates) {
  const bits = ((rates?.rx_bytes ?? 0) + (rates?.tx_bytes ?? 0)) * 8;
  return bits < 1000 ? 1.5 : Math.min(8, 1.5 + 0.9 * Math.log10(bits / 1000)).toFixed(1);
}

function useWidth(element) {
  const [width, setWidth] = useState(1000);
  useLayoutEffect(() => {
    const measure = () => setWidth(element.current.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return width;
}
