/** Containers on veth pairs whose other end is a packet port. */

import { type Container, connectContainer, type Host } from './topology.js';
import type { PortConfig } from './vswitchd.js';

/** Gives the container its interface; the port of the other end, which is in the host's namespace and silent. */
export async function packetPortOf(
  host: Host,
  container: Container,
  mtu = 1450,
): Promise<PortConfig> {
  const ifname = `p-${container.name}`;
  await connectContainer(host, container, { peerIfname: ifname, mtu });
  await silence(host, ifname);
  return { name: container.name, kind: 'packet', ifname };
}

/** The host's own stack neither speaks nor answers there. */
export async function silence(host: Host, ifname: string): Promise<void> {
  await host.namespace.sysctl({ [`ipv6/conf/${ifname}/disable_ipv6`]: 1 });
  await host.namespace.ip(`link set dev ${ifname} arp off`);
}
