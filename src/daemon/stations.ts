// Who is in a network, as far as this host knows: what traces are filled in with.

import type { PortView } from '../control/views.js';
import type { Datapath } from '../datapath/datapath.js';
import type { FdbEntry } from '../datapath/seam.js';
import type { Knowledge, Station } from '../model/flowDefaults.js';
import { type Cidr, parseCidr, parseIp } from '../model/ip.js';
import { isGroupMac, isZeroMac, type Mac, parseMac } from '../model/mac.js';
import type { Network } from '../model/network.js';
import type { Overlay } from '../overlay/overlay.js';
import { viewPorts } from './networkViews.js';
import { viewNeighbors } from './storeViews.js';

/** Where a made-up frame enters. */
export type Entry = { readonly port: PortView } | { readonly peer: string };

export interface StationParts {
  readonly overlay: Overlay;
  readonly datapath: Datapath;
}

/** Everybody in a network who is known with his addresses, local ports first. */
export function stationsOf(parts: StationParts, network: Network): Station[] {
  return [...localStations(parts, network), ...toldStations(parts, network)];
}

/** What is known when a frame is made up that enters the network at `entry`. */
export function knowledgeOf(parts: StationParts, network: Network, entry: Entry): Knowledge {
  const stations = stationsOf(parts, network);
  const isThere = ({ port, remote }: FdbEntry) =>
    'port' in entry ? port === entry.port.name : remote === entry.peer;
  const learned = parts.datapath
    .fdb(network.name)
    .filter(isThere)
    .flatMap(({ mac }) => stationOf(mac, [], 'the FDB'))
    .map((station) => stations.find(({ mac }) => mac === station.mac) ?? station);
  if ('port' in entry) {
    const known = portText(entry.port.name);
    const own = stations.filter((station) => station.known === known);
    return { entry: known, senders: [...own, ...learned], stations };
  }
  const told = toldStations(parts, network, entry.peer);
  return { entry: `VTEP ${entry.peer}`, senders: [...told, ...learned], stations };
}

function localStations({ overlay, datapath }: StationParts, network: Network): Station[] {
  return viewPorts(network, overlay, datapath.counters()).flatMap(({ name, mac, addresses }) =>
    stationOf(mac, addresses, portText(name)),
  );
}

/** By the control plane; those behind one VTEP, if it is given. */
function toldStations({ overlay }: StationParts, network: Network, at?: string): Station[] {
  const addresses = new Map<string, string[]>();
  for (const { mac, ip, vtep } of viewNeighbors(overlay, network.name)) {
    if (at === undefined || vtep === at) addresses.set(mac, [...(addresses.get(mac) ?? []), ip]);
  }
  return [...addresses].flatMap(([mac, ips]) => stationOf(mac, ips, 'the neighbor table'));
}

function portText(name: string): string {
  return `port ${name}`;
}

/** None where the MAC is no station's. */
function stationOf(text: string | undefined, ips: readonly string[], known: string): Station[] {
  const mac: Mac | undefined = parseMac(text ?? '');
  if (mac === undefined || isGroupMac(mac) || isZeroMac(mac)) return [];
  return [{ mac, ips: ips.flatMap(addressOf), known }];
}

/** With or without prefix length. */
function addressOf(text: string): Cidr[] {
  const ip = parseIp(text);
  const cidr = ip === undefined ? parseCidr(text) : { ...ip, prefix: ip.family === 4 ? 32 : 128 };
  return cidr === undefined ? [] : [cidr];
}
