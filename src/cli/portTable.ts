// How ports and removed TAPs are shown, in every command that shows them.

import type { PortView, RemovedView } from '../control/client.js';
import { netnsName } from '../model/netns.js';
import { table } from './table.js';

export function portTable(ports: readonly PortView[]): string {
  return table(
    ['port', 'network', 'kind', 'state', 'netns', 'ifname', 'mac', 'addresses', 'mtu', 'source'],
    ports.map((port) => [
      port.name,
      port.network,
      port.kind,
      port.state,
      port.netns && netnsName(port.netns),
      port.ifname,
      port.mac,
      port.addresses.join(','),
      port.mtu,
      port.source,
    ]),
  );
}

/** Why ports that are not up are not. */
export function portReasons(ports: readonly PortView[]): string[] {
  return ports.flatMap((port) =>
    port.reason === undefined ? [] : [`port ${port.name}: ${port.reason}`],
  );
}

/** What went and, with the reason, what should have gone. */
export function removedText({ removed_taps, left_taps = [] }: RemovedView): string[] {
  return [
    ...removed_taps.map((tap) => `removed ${tapName(tap)}`),
    ...left_taps.map((tap) => `${tapName(tap)} is still there: ${tap.why}`),
  ];
}

function tapName({ ifname, netns, port }: RemovedView['removed_taps'][number]): string {
  const place = netns === undefined ? '' : ` in ${netnsName(netns)}`;
  return `TAP ${ifname}${place} (port ${port})`;
}
