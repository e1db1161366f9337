/** Forged VXLAN datagrams from one host's addresses to another, carrying whole frames. */

import { sendPackets } from './forge.js';
import { ipv4, PROTOCOL, udp, vxlan } from './frames.js';
import type { Host } from './topology.js';

export interface Envelope {
  /** Who sends it; the raw socket is in this host's namespace. */
  readonly from: Host;
  readonly to: Host;
  readonly vni: number;
}

/** Sends each frame in a datagram of its own, over IPv4 to UDP port 4789. */
export async function sendOverVxlan(
  { from, to, vni }: Envelope,
  frames: readonly Uint8Array[],
): Promise<void> {
  const ends = { src: from.address[4], dst: to.address[4] };
  const ports = { sourcePort: 50_000, destinationPort: 4789 };
  const packets = frames.map((frame) => ({
    packet: ipv4({ ...ends, protocol: PROTOCOL.udp }, udp(ends, ports, vxlan({ vni }, frame))),
    destination: to.address[4],
  }));
  await sendPackets(from.namespace, packets);
}
