// What this host offers, and what to do about what it lacks.

import type { DoctorView } from '../control/views.js';
import type { Probe } from '../datapath/seam.js';
import { sentences } from '../model/sentences.js';
import { hasAddress } from '../overlay/plan.js';
import type { StoreHealth } from '../overlay/shared.js';

type Check = DoctorView['checks'][number];

/**
 * Everything the probe tried, in words. Without `vtep` our own address is not judged. `udpPorts` are
 * those that our networks use.
 */
export function diagnose(
  probe: Probe,
  vtep: string | undefined,
  udpPorts: ReadonlySet<number>,
): DoctorView {
  const { tunError } = probe;
  const checks = [
    needed({
      name: 'CAP_NET_ADMIN',
      ok: probe.netAdmin,
      why: 'makes TAP devices',
      fix: sentences.NO_NET_ADMIN.fix,
    }),
    needed({
      name: '/dev/net/tun',
      ok: probe.tun,
      why: 'TAP devices come from it',
      fix: sentences.NO_TUN.fix,
      ...(tunError === undefined ? {} : { detail: tunError }),
    }),
    ...(vtep === undefined ? [] : [addressCheck(probe, vtep)]),
    ...vxlanChecks(probe, udpPorts),
    ...probe.facilities.map(facilityCheck),
  ];
  return { ready: checks.every((check) => check.ok || !check.needed), checks };
}

/** Whether the store answers: what is attached works without it. */
export function storeCheck(
  name: string,
  { state, detail }: Pick<StoreHealth, 'state' | 'detail'>,
): Check {
  const ok = state === 'connected';
  return {
    name: `store ${name}`,
    ok,
    needed: false,
    why: 'hosts learn of each other and of networks through it',
    ...(ok ? {} : { fix: sentences.STORE_DOWN.fix }),
    ...(detail === undefined ? {} : { detail }),
  };
}

/** A check without which nothing works; its fix is told only when it fails. */
function needed({ fix, ...check }: Omit<Check, 'needed'>): Check {
  return { ...check, needed: true, ...(check.ok || fix === undefined ? {} : { fix }) };
}

function addressCheck(probe: Probe, vtep: string): Check {
  const link = probe.interfaces.find((item) => hasAddress(item, vtep));
  const ok = link?.up === true;
  return {
    name: `VTEP ${vtep}`,
    ok,
    needed: true,
    why: 'every datagram leaves with this source address',
    ...(link === undefined ? { fix: sentences.ADDRESS_NOT_LOCAL.fix } : {}),
    ...(link !== undefined && !ok ? { fix: `\`ip link set ${link.ifname} up\`` } : {}),
    ...(link === undefined ? {} : { detail: `${link.ifname}, MTU ${link.mtu}` }),
  };
}

/** A kernel vxlan device that is up holds its UDP port on all addresses, even with `local`. */
function vxlanChecks(probe: Probe, udpPorts: ReadonlySet<number>): Check[] {
  return probe.vxlanDevices
    .filter((device) => udpPorts.has(device.udpPort))
    .map((device) => ({
      name: `kernel vxlan ${device.ifname}`,
      ok: false,
      needed: false,
      why: device.up
        ? `it holds UDP port ${device.udpPort}`
        : `it cannot come up while we hold UDP port ${device.udpPort}`,
      fix: `\`ip link delete ${device.ifname}\`, or another vtep.port`,
    }));
}

const FACILITIES: Readonly<Record<string, readonly [why: string, fix: string]>> = {
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
    'CAP_NET_ADMIN, or raise net.core.rmem_max',
  ],
};

function facilityCheck(facility: Probe['facilities'][number]): Check {
  const [why, fix] = FACILITIES[facility.name] ?? ['speed', 'a newer kernel'];
  return {
    name: facility.name,
    ok: facility.available,
    needed: false,
    why,
    ...(facility.available ? {} : { fix }),
    ...(facility.detail ? { detail: facility.detail } : {}),
  };
}
