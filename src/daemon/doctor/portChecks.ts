// Which kinds of ports are possible here.

import { getSystemErrorName } from 'node:util';
import type { DoctorView } from '../../control/views.js';
import { fromNative } from '../../datapath/nativeError.js';
import type { Probe } from '../../datapath/seam.js';
import { sentences } from '../../model/sentences.js';
import { type Check, type Finding, needed, optional, readable, tried } from './check.js';
import type { Facts } from './facts.js';
import { userNamespacesUsable } from './hostChecks.js';

export interface Possible {
  /** TAPs that vswitchd makes itself. */
  readonly tap: boolean;
  /** TAPs that users make in their own namespaces and hand over. */
  readonly rootless: boolean;
  readonly packet: boolean;
}

export function possiblePorts({ probe, tunMode, userNamespaces }: Facts): Possible {
  const found = 'value' in probe ? probe.value : undefined;
  return {
    tap: found?.tun === true && found.netAdmin,
    rootless:
      'value' in tunMode &&
      openToAll(tunMode.value) &&
      'value' in userNamespaces &&
      userNamespacesUsable(userNamespaces.value),
    packet:
      found?.facilities.some(({ name, available }) => name === 'packet' && available) ?? false,
  };
}

/** What the ports that are possible make of the machine, where nothing else is missing. */
export function verdictOf({ tap, rootless, packet }: Possible): DoctorView['verdict'] {
  if (tap) return 'ready';
  if (rootless && packet) return 'ready for rootless and packet ports';
  if (rootless) return 'ready for rootless ports';
  return packet ? 'ready for packet ports' : 'not ready';
}

/** What TAPs of our own take is needed where the configuration asks for them, or where no other port is possible. */
export function portChecks(facts: Facts): Check[] {
  const { probe, purpose, tunMode } = facts;
  if (!('value' in probe)) return [];
  const possible = possiblePorts(facts);
  const isNeeded = purpose.makesTaps || !(possible.rootless || possible.packet);
  const judge = (isThere: boolean, finding: Finding) =>
    isNeeded ? needed(isThere, finding) : optional(isThere, finding);
  const rootless = {
    group: 'ports',
    name: '/dev/net/tun mode',
    why: 'rootless ports: ordinary users open it in their namespaces',
  } as const;
  return [
    judge(probe.value.netAdmin, {
      ...{ group: 'rights', name: 'CAP_NET_ADMIN', why: 'makes TAP devices' },
      fix: sentences.NO_NET_ADMIN.fix,
    }),
    judge(probe.value.tun, {
      ...{ group: 'ports', name: '/dev/net/tun', why: 'TAP devices come from it' },
      ...tunTrouble(probe.value),
    }),
    ...readable(tunMode, rootless, (mode) => [
      optional(openToAll(mode), {
        ...{ ...rootless, detail: `0${mode.toString(8)}` },
        fix: '`chmod 0666 /dev/net/tun`, as udev does on Debian; it gives no right by itself',
      }),
    ]),
    ...probe.value.facilities
      .filter(({ name }) => name in PORT_FACILITIES)
      .map((facility) =>
        facilityCheck(facility, purpose.opensPackets && facility.name === 'packet'),
      ),
  ];
}

function openToAll(mode: number): boolean {
  return (mode & 0o006) === 0o006;
}

/** What the errno of the attempt says about the remedy. */
function tunTrouble({ tunError, netAdmin }: Probe): Pick<Finding, 'detail' | 'fix'> {
  if (tunError === undefined) return { fix: sentences.NO_TUN.fix };
  const { facts } = fromNative(new Error(tunError));
  const name = facts.errno === undefined ? undefined : getSystemErrorName(-facts.errno);
  const detail = [facts.syscall, name, facts.detail].filter((word) => word !== undefined).join(' ');
  const fix = name === undefined ? undefined : TUN_FIXES[name];
  return { detail, fix: fix ?? (netAdmin ? sentences.NO_TUN.fix : sentences.NO_NET_ADMIN.fix) };
}

const TUN_FIXES: Readonly<Record<string, string>> = {
  ENODEV: '`modprobe tun`; on a NAS `insmod /lib/modules/tun.ko`, after each boot',
  ENOENT:
    '`modprobe tun`, or `mkdir -p /dev/net; mknod /dev/net/tun c 10 200`; a container gets it by --device /dev/net/tun, a rented one from its provider',
  EACCES: 'run it as root, or `chmod 0666 /dev/net/tun`',
};

const PORT_FACILITIES: Readonly<Record<string, readonly [why: string, fix: string]>> = {
  packet: [
    'packet ports, where there are no TAPs',
    'run it as root, or give the container --cap-add NET_RAW',
  ],
  packet_vnet_hdr: ['packet ports carry superframes: speed', 'Linux 2.6.39 or later'],
  veth: ['makes the interface of a packet port', '`modprobe veth`, or an interface that is there'],
};

function facilityCheck(facility: Probe['facilities'][number], isNeeded: boolean): Check {
  const { name, available, detail } = facility;
  const [why, fix] = PORT_FACILITIES[name] ?? ['', ''];
  const finding = { group: 'ports', name, why, fix } as const;
  if (isNeeded) return needed(available, { ...finding, detail });
  return name === 'packet' ? optional(available, finding) : tried(facility, finding);
}
