// What looks wrong only when all of a capture is looked at together.

import { macText } from './addresses.js';
import type { Analysis } from './analysis.js';
import type { Network, Pair } from './network.js';

/** One thing that an operator should look at, as a sentence. */
export interface Oddity {
  readonly kind:
    | 'one_way'
    | 'several_udp_ports'
    | 'one_source_port'
    | 'mac_in_several_vnis'
    | 'vtep_behind_several_macs'
    | 'mixed_families'
    | 'zero_vni';
  readonly vni?: number;
  readonly sentence: string;
}

export function oddities(analysis: Analysis): Oddity[] {
  const networks = [...analysis.networks.values()];
  return [
    ...networks.flatMap((network) => ofNetwork(network)),
    ...twins(networks),
    ...movedLinks(analysis),
  ].slice(0, MAX_ODDITIES);
}

function ofNetwork(network: Network): Oddity[] {
  const { vni } = network;
  const pairs = [...network.pairs.values()];
  const found: Oddity[] = [];
  if (vni === 0) {
    const sentence = 'VNI 0 is what a zeroed header says, and few mean it.';
    found.push({ kind: 'zero_vni', vni, sentence });
  }
  const ports = [...new Set(pairs.map(({ udpPort }) => udpPort))].sort((a, b) => a - b);
  if (ports.length > 1) {
    const sentence = `VNI ${vni} is used on UDP ports ${ports.join(', ')}: their hosts do not hear each other.`;
    found.push({ kind: 'several_udp_ports', vni, sentence });
  }
  if (new Set(pairs.map(({ to }) => to.includes(':'))).size > 1) {
    const sentence = `VNI ${vni} crosses IPv4 and IPv6: a kernel vxlan device has one of them only.`;
    found.push({ kind: 'mixed_families', vni, sentence });
  }
  const unicast = pairs.filter(({ to }) => !isMulticast(to));
  const there = new Set(unicast.map(({ from, to }) => `${from} ${to}`));
  const silent = unicast.filter(({ from, to }) => !there.has(`${to} ${from}`));
  found.push(...silent.map((pair) => oneWay(vni, pair)));
  const narrow = pairs.filter((p) => p.severalStations && !p.severalSourcePorts);
  found.push(
    ...narrow.filter((p) => p.frames >= MANY_FRAMES).map((pair) => oneSourcePort(vni, pair)),
  );
  return found;
}

function oneWay(vni: number, { from, to, frames }: Pair): Oddity {
  const sentence = `VNI ${vni}: ${frames} ${frames === 1 ? 'frame' : 'frames'} from ${from} to ${to}, none back.`;
  return { kind: 'one_way', vni, sentence };
}

/** RFC 7348 section 5 asks for source ports by flow. */
function oneSourcePort(vni: number, { from, to, sourcePort }: Pair): Oddity {
  const sentence = `VNI ${vni}: all flows from ${from} to ${to} have the source port ${sourcePort}, so no router or network card can spread them.`;
  return { kind: 'one_source_port', vni, sentence };
}

/** One MAC in two networks is a router at best, and a leak at worst. */
function twins(networks: readonly Network[]): Oddity[] {
  const homes = new Map<number, number[]>();
  for (const { vni, stations } of networks) {
    for (const [mac] of stations.entries()) {
      const known = homes.get(mac);
      if (known === undefined) homes.set(mac, [vni]);
      else known.push(vni);
    }
  }
  return [...homes]
    .filter(([, vnis]) => vnis.length > 1)
    .map(([mac, vnis]) => ({
      kind: 'mac_in_several_vnis' as const,
      sentence: `${macText(mac)} sends in VNIs ${listed(vnis)}: a router, a copied MAC, or a leak between networks.`,
    }));
}

/** One address behind two MACs of the same link: two hosts with that address, or several routers on the way. */
function movedLinks(analysis: Analysis): Oddity[] {
  return [...analysis.senders.entries()]
    .filter(([, { macs }]) => macs.length > 1)
    .map(([vtep, { macs }]) => ({
      kind: 'vtep_behind_several_macs' as const,
      sentence: `VTEP ${vtep} sends from the Ethernet addresses ${macs.map(macText).join(', ')}: several routers or links, or two hosts with one address.`,
    }));
}

function isMulticast(address: string): boolean {
  const first = Number.parseInt(address, 10);
  return address.includes(':') ? address.startsWith('ff') : first >= 224 && first < 240;
}

function listed(vnis: readonly number[]): string {
  const shown = vnis.slice(0, 10).join(', ');
  return vnis.length > 10 ? `${shown} and ${vnis.length - 10} more` : shown;
}

const MANY_FRAMES = 100;
const MAX_ODDITIES = 1000;
