// What makes frames fast; all of it can be done without.

import type { Probe } from '../../datapath/seam.js';
import { type Check, optional, tried } from './check.js';
import type { Facts } from './facts.js';

export function datapathChecks({ probe, receiveBufferMax }: Facts): Check[] {
  if (!('value' in probe)) return [];
  const largest = 'value' in receiveBufferMax ? receiveBufferMax.value : undefined;
  return probe.value.facilities.flatMap((facility) => {
    const words = FACILITIES[facility.name];
    if (words === undefined) return [];
    const isForced = facility.name === 'rcvbuf_force';
    return [facilityCheck(isForced ? withLimit(facility, largest) : facility, words)];
  });
}

/** A large net.core.rmem_max serves as well as the right to go beyond it. */
function withLimit(
  facility: Probe['facilities'][number],
  largest: number | undefined,
): Probe['facilities'][number] {
  if (facility.available || largest === undefined) return facility;
  const detail = `net.core.rmem_max is ${largest} bytes`;
  return { ...facility, available: largest >= RECEIVE_BUFFER, detail };
}

/** What the datapath asks for, bytes. */
const RECEIVE_BUFFER = 8 << 20;

type Words = readonly [why: string, fix: string];

const FACILITIES: Readonly<Record<string, Words>> = {
  vnet_hdr: ['carries superframes over the TAP: speed', 'Linux 2.6.27 or later'],
  tso: ['TCP passes in superframes: speed', 'Linux 2.6.27 or later'],
  uso: ['UDP passes in superframes: speed', 'Linux 6.2 or later'],
  multi_queue: ['several workers share one TAP: speed on many cores', 'Linux 3.8 or later'],
  recvmmsg: ['one system call reads many datagrams: speed', 'Linux 2.6.33 or later'],
  sendmmsg: ['one system call sends many datagrams: speed', 'Linux 3.0 or later'],
  udp_gso: ['one send carries a whole run of datagrams: speed', 'Linux 4.18 or later'],
  udp_gro: ['one read brings a whole run of datagrams: speed', 'Linux 5.0 or later'],
  ring: [
    'datapath.underlay: ring receives past the network stack: speed',
    'Linux 6.6 or later, CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF',
  ],
  tunnel_gso: [
    'datapath.underlay: tunnel-gso sends TCP in superframes: speed',
    'Linux 6.17 or later, CAP_NET_ADMIN and CAP_BPF',
  ],
  rcvbuf_force: [
    'large receive buffers: fewer drops in bursts',
    'CAP_NET_ADMIN, or `sysctl -w net.core.rmem_max=8388608`',
  ],
};

function facilityCheck(facility: Probe['facilities'][number], [why, fix]: Words): Check {
  const { name, available, detail } = facility;
  const finding = { group: 'datapath', name, why, fix } as const;
  // Whose fix names the rights that it takes.
  if (fix.includes('CAP_')) return optional(available, { ...finding, detail });
  return tried(facility, finding);
}
