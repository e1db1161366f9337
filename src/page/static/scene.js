// What the picture is of: this host with its networks and ports, the hosts around it, and the tunnels between
// them, put together from the answers of the API. What is not known yet is left out.

import { dropKey, portKey } from './rates.js';

/** How many colours networks have; beyond that they repeat. */
const COLOURS = 8;

/**
 * The scene: `{ self, networks, hosts }`. A network has its ports, a host its tunnels, one for each network that it
 * shares with this one; rates are those of `book`, per second, undefined where not known.
 */
export function sceneOf({ status, networks = [], counters, hosts = [], book }) {
  const colours = coloursOf(counters.networks);
  const views = new Map(networks.map((network) => [network.name, network]));
  const found = new Map();
  const hostAt = (address) => {
    const host = found.get(address) ?? { address, name: '', tunnels: [] };
    found.set(address, host);
    return host;
  };
  for (const { self, address, name, state } of hosts) {
    if (!self) Object.assign(hostAt(address), { name, lease: state });
  }
  for (const { address, ...vtep } of counters.vteps) hostAt(address).vtep = vtep;
  for (const network of counters.networks) {
    for (const tunnel of network.ports.filter(({ kind }) => kind === 'tunnel')) {
      const { address } = remoteOf(tunnel.name);
      const peer = views.get(network.name)?.peers.find((item) => item.address === address);
      hostAt(address).tunnels.push({
        ...{ network: network.name, vni: network.vni, colour: colours.get(network.name) },
        ...{ counters: tunnel, rates: book.of(portKey(network.name, tunnel.name)) },
        ...{ pathMtu: tunnel.path_mtu ?? peer?.path_mtu, origin: peer?.origin },
      });
    }
  }
  return {
    self: { name: hosts.find(({ self }) => self)?.name ?? '', address: status?.vtep.address ?? '' },
    networks: counters.networks.map((network) => ({
      ...{
        name: network.name,
        vni: network.vni,
        colour: colours.get(network.name),
        counters: network,
      },
      view: views.get(network.name),
      ports: portsOf(network, views.get(network.name), book),
    })),
    hosts: [...found.values()].sort((a, b) => byAddress(a.address, b.address)),
  };
}

/** Network's name -> 0 to 7, in the order of the VNIs. */
export function coloursOf(networks) {
  const sorted = [...networks].sort((a, b) => a.vni - b.vni);
  return new Map(sorted.map(({ name }, index) => [name, index % COLOURS]));
}

/** `10.200.0.2:4789/300`, `[fd00::2]:4789` -> the address and what follows. */
export function remoteOf(name) {
  const [, bracketed, plain, udpPort, vni] =
    /^(?:\[([^\]]+)\]|([^:]+)):(\d+)(?:\/(\d+))?$/.exec(name) ?? [];
  return { address: bracketed ?? plain ?? name, udpPort: Number(udpPort), vni: vni && Number(vni) };
}

/** Frames per second that are dropped, over all reasons of the host; undefined until known. */
export function dropRate(drops, book) {
  const rates = drops.map(({ reason }) => book.of(dropKey(reason))?.frames);
  const known = rates.filter((rate) => rate !== undefined);
  return known.length === 0 && drops.length > 0
    ? undefined
    : known.reduce((sum, rate) => sum + rate, 0);
}

/** In, out and dropped over all ports on this host: per second. */
export function hostRates(counters, book) {
  const rates = counters.networks.flatMap(({ name, ports }) =>
    ports.filter(({ kind }) => kind !== 'tunnel').map((port) => book.of(portKey(name, port.name))),
  );
  const known = rates.filter((rate) => rate !== undefined);
  const sum = (name) => known.reduce((total, rate) => total + rate[name], 0);
  return known.length === 0 ? undefined : { rx_bytes: sum('rx_bytes'), tx_bytes: sum('tx_bytes') };
}

/** Those of the configuration, also where the datapath has none of them, and no tunnels. */
function portsOf({ name, ports }, view, book) {
  const counted = new Map(ports.map((port) => [port.name, port]));
  const known = view?.ports ?? ports.filter(({ kind }) => kind !== 'tunnel');
  return known.map((port) => ({
    ...{ name: port.name, state: port.state, view: port },
    ...{ counters: counted.get(port.name), rates: book.of(portKey(name, port.name)) },
  }));
}

function byAddress(a, b) {
  return a.localeCompare(b, undefined, { numeric: true });
}
