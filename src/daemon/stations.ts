// Who is in a network, as far as this host knows: what traces are filled in with.

import type { PortView } from '../control/views.js';
import type { Datapath } from '../datapath/datapath.js';
import type { Knowledge, Station } from '../model/flowDefaults.js';
import { type Cidr, parseCidr, parseIp } from '../model/ip.js';
import { isGroupMac, isZeroMac, type Mac, parseMac } from '../model/mac.js';
import type { Network } from '../model/network.js';
import type { Overlay } from '../overlay/overlay.js';
import { viewPorts } from './networkViews.js';
import { viewNeighbors } from './storeViews.js';

/** Where a made-up frame enters. */
export type Entry = { readonly port: PortView } | { readonly peer: string };

/** What `overlay` and the FDB of `network` tell about who is behind `entry`, and who is where. */
export function knowledgeOf(
  { overlay, datapath }: { readonly overlay: Overlay; readonly datapath: Datapath },
  network: Network,
  entry: Entry,
): Knowledge {
  const ports = viewPorts(network, overlay, datapath.counters());
  const neighbors = viewNeighbors(overlay, network.name);
  const local = ports.flatMap((port) => stationOf(port.mac, port.addresses, `port ${port.name}`));
  const told = neighbors.flatMap(({ mac, ip }) => stationOf(mac, [ip], 'the neighbor table'));
  // Of several addresses of one station, all: who is asked for one of them is looked for among all.
  const stations = [...local, ...told];
  const learned = datapath
    .fdb(network.name)
    .filter((item) =>
      'port' in entry ? item.port === entry.port.name : item.remote === entry.peer,
    )
    .flatMap(({ mac }) => stationOf(mac, [], 'the FDB'))
    .map((station) => stations.find(({ mac }) => mac === station.mac) ?? station);
  if ('port' in entry) {
    const known = `port ${entry.port.name}`;
    const own = local.filter((station) => station.known === known);
    return { entry: known, senders: [...own, ...learned], stations };
  }
  const there = neighbors.filter(({ vtep }) => vtep === entry.peer).map(({ mac }) => mac);
  const senders = told.filter(({ mac }) => there.includes(mac));
  return { entry: `VTEP ${entry.peer}`, senders: [...senders, ...learned], stations };
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
