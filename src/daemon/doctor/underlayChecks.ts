// The UDP side: our address, who else wants our port, and what keeps datagrams from us.

import { isIPv6 } from 'node:net';
import type { Interface, Probe } from '../../datapath/seam.js';
import { overheadOf } from '../../model/network.js';
import { sentences } from '../../model/sentences.js';
import { hasAddress } from '../../overlay/plan.js';
import type { UdpHolder } from '../udpOwner.js';
import { type Check, harmless, judged, needed, readable } from './check.js';
import type { Facts } from './facts.js';
import { type Datagram, fateOf } from './firewall.js';

export function underlayChecks(facts: Facts): readonly Check[] {
  const { probe, purpose, holders } = facts;
  const link = linkOf(facts);
  const why = 'one socket alone receives the datagrams of a port';
  return [
    ...('value' in probe && purpose.vtep !== undefined ? [addressCheck(link, purpose.vtep)] : []),
    ...readable(holders, { group: 'underlay', name: 'UDP port', why }, (found) =>
      udpPortChecks(found, facts),
    ),
    ...pathChecks(facts, link),
    ...rpFilterChecks(facts, link),
    ...firewallChecks(facts, link),
  ];
}

/** The interface with our address. */
function linkOf({ probe, purpose: { vtep } }: Facts): Interface | undefined {
  if (!('value' in probe) || vtep === undefined) return undefined;
  return probe.value.interfaces.find((item) => hasAddress(item, vtep));
}

function addressCheck(link: Interface | undefined, vtep: string): Check {
  const finding = { group: 'underlay', name: `VTEP ${vtep}` } as const;
  const why = 'every datagram leaves with this source address';
  if (link === undefined)
    return needed(false, { ...finding, why, fix: sentences.ADDRESS_NOT_LOCAL.fix });
  const left = link.mtu - overheadOf(vtep);
  const detail = `${link.ifname}, MTU ${link.mtu}: containers get ${left}`;
  return needed(link.up, { ...finding, why, detail, fix: `\`ip link set ${link.ifname} up\`` });
}

/** One line for each port that is ours, and for others' that are held. */
function udpPortChecks(holders: readonly UdpHolder[], { probe, purpose }: Facts): Check[] {
  const devices = 'value' in probe ? probe.value.vxlanDevices : [];
  const held = [...holders.map(({ port }) => port), ...devices.map(({ udpPort }) => udpPort)];
  return [...new Set([...purpose.udpPorts, ...held])].map((port) => {
    const ofPort = holders.filter((holder) => holder.port === port);
    const device = devices.find(({ udpPort }) => udpPort === port);
    if (purpose.udpPorts.has(port))
      return ourPort({ port, holders: ofPort, device }, purpose.vtep !== undefined);
    const detail = device === undefined ? heldBy(ofPort) : deviceText(device);
    const why = 'not a port of ours: not in the way';
    return judged('ok', { group: 'underlay', name: `UDP port ${port}`, detail, why });
  });
}

interface PortUse {
  readonly port: number;
  readonly holders: readonly UdpHolder[];
  readonly device: Probe['vxlanDevices'][number] | undefined;
}

/** A kernel vxlan device that is up holds its UDP port on all addresses, even with `local`. */
function ourPort({ port, holders, device }: PortUse, isConfigured: boolean): Check {
  const finding = { group: 'underlay', name: `UDP port ${port}` } as const;
  const why = 'one socket alone receives the datagrams of a port';
  const taken = (isTaken: boolean, detail: string, fix: string) =>
    isTaken && isConfigured
      ? needed(false, { ...finding, why, detail, fix })
      : judged('warning', { ...finding, why, detail, fix });
  if (device !== undefined) {
    const fix = `\`ip link delete ${device.ifname}\`, or another vtep.port on all hosts`;
    return taken(device.up, deviceText(device), fix);
  }
  const others = holders.filter(({ process }) => !OURS.test(process?.command ?? ''));
  if (others.length > 0) {
    const everywhere = others.some((holder) => holder.everywhere);
    const fix = 'stop it, or set another `vtep.port` on all hosts';
    return taken(everywhere, heldBy(others), fix);
  }
  return judged('ok', { ...finding, why, detail: holders.length > 0 ? heldBy(holders) : 'free' });
}

const OURS = /\bvswitchd(\.js)?$/;

function deviceText({ ifname, vni, up }: Probe['vxlanDevices'][number]): string {
  return `kernel vxlan device ${ifname} (VNI ${vni}${up ? '' : ', down: it cannot come up beside us'}) has it`;
}

function heldBy(holders: readonly UdpHolder[]): string {
  const names = holders.map(({ process }) =>
    process === undefined
      ? 'somebody who is hidden from us'
      : `${process.command}, process ${process.pid}`,
  );
  return `held by ${[...new Set(names)].join(' and ')}`;
}

/** Where a peer's path is known to carry less than the interface. */
function pathChecks({ purpose: { peers } }: Facts, link: Interface | undefined): Check[] {
  return peers.flatMap(({ address, pathMtu }) => {
    if (pathMtu === undefined || link === undefined) return [];
    const finding = {
      group: 'underlay',
      name: `path to ${address}`,
      detail: `carries outer packets up to ${pathMtu} bytes`,
      why: 'larger frames are answered with "too big" or dropped',
      fix: `find what lowers it below ${link.mtu}, or set a smaller mtu of the network`,
    } as const;
    return [harmless(pathMtu >= link.mtu, finding)];
  });
}

const STRICT = 1;

/** Only IPv4 has it. */
function rpFilterChecks(
  { rpFilter, purpose }: Facts,
  link: Interface | undefined,
): readonly Check[] {
  if (link === undefined || purpose.vtep === undefined || isIPv6(purpose.vtep)) return [];
  const finding = {
    group: 'underlay',
    name: 'rp_filter',
    why: 'strict drops datagrams of VTEPs to which the route leaves by another interface',
  } as const;
  return readable(rpFilter, finding, (values) => {
    const value = values.get(link.ifname) ?? 0;
    const detail = `${link.ifname}: ${['off', 'strict', 'loose'][value] ?? value}`;
    // With slashes, because a name may have a dot.
    const fix = `\`sysctl -w net/ipv4/conf/${link.ifname}/rp_filter=2\``;
    return [harmless(value !== STRICT, { ...finding, detail, fix })];
  });
}

/** Each way, port and peer; what is sure counts more than what is not. */
function firewallChecks(
  { firewall, purpose }: Facts,
  link: Interface | undefined,
): readonly Check[] {
  const { vtep } = purpose;
  if (link === undefined || vtep === undefined) return [];
  const finding = {
    group: 'underlay',
    name: 'firewall',
    why: 'hosts reach each other by UDP',
  } as const;
  return readable(firewall, finding, (chains) => {
    const fates = waysOf(purpose, { address: vtep, ifname: link.ifname }).map((way) => ({
      way,
      fate: fateOf(chains, way),
    }));
    const worst =
      fates.find(({ fate }) => fate.fate === 'drops') ??
      fates.find(({ fate }) => fate.fate === 'depends');
    if (worst === undefined || worst.fate.fate === 'passes')
      return [judged('ok', { ...finding, detail: 'no rule that drops VXLAN was found' })];
    const { direction, udpPort, peer } = worst.way;
    const whose = peer === undefined ? 'from other hosts' : `from ${peer}`;
    const what = `UDP port ${udpPort} ${direction === 'in' ? whose : whose.replace('from', 'to')}`;
    const fix = `allow UDP port ${udpPort} ${direction === 'in' ? 'to' : 'from'} ${vtep}`;
    return worst.fate.fate === 'drops'
      ? [needed(false, { ...finding, detail: `${worst.fate.rule} drops ${what}`, fix })]
      : [judged('unknown', { ...finding, detail: `${worst.fate.rule} may drop ${what}`, fix })];
  });
}

function waysOf(
  { udpPorts, peers }: Facts['purpose'],
  own: Pick<Datagram, 'address' | 'ifname'>,
): Datagram[] {
  const ends = peers.length === 0 ? [{}] : peers.map(({ address }) => ({ peer: address }));
  return (['in', 'out'] as const).flatMap((direction) =>
    [...udpPorts].flatMap((udpPort) => ends.map((end) => ({ direction, udpPort, ...own, ...end }))),
  );
}
