/**
 * Hosts on one underlay, containers on hosts.
 *
 *   host a ── und0 ┐                       every box is a network namespace
 *   host b ── und0 ┼─ bridge `wire`        10.200.0.N/24, fd00:200::N/64, MTU 1500
 *   host c ── und0 ┘
 */

import { connect, createNamespace, type Namespace } from './netns.js';
import type { Scope } from './scope.js';

export type Family = 4 | 6;

export interface Host {
  readonly name: string;
  readonly namespace: Namespace;
  /** Underlay addresses, by family. */
  readonly address: Readonly<Record<Family, string>>;
}

export interface Container {
  readonly name: string;
  readonly namespace: Namespace;
  readonly ifname: string;
  readonly mac: string;
  /** Overlay addresses, by family. */
  readonly address: Readonly<Record<Family, string>>;
}

export interface UnderlaySpec {
  /** 1 to 99 names; the first becomes 10.200.0.1. */
  readonly hosts: readonly string[];
  readonly mtu?: number;
  /**
   * `whole`: veth pairs as they come, which pass superframes and unfilled checksums, as between containers
   * of one machine. `wire`: what leaves a host is cut and checksummed, as by a plain NIC.
   */
  readonly offload?: 'whole' | 'wire';
}

export interface Underlay {
  readonly hosts: readonly Host[];
  /** The namespace of the bridge that joins the hosts; its ports are called as the hosts. */
  readonly wire: Namespace;
}

/** Builds hosts and the wire between them. */
export async function createUnderlay(scope: Scope, spec: UnderlaySpec): Promise<Underlay> {
  const mtu = spec.mtu ?? 1500;
  const wire = await createNamespace(scope, 'wire');
  await wire.ip(`link add name wire mtu ${mtu} type bridge mcast_snooping 0\nlink set dev wire up`);
  const hosts: Host[] = [];
  for (const [index, name] of spec.hosts.entries()) {
    const host = await createHost(scope, name, index + 1);
    await connect(
      { namespace: host.namespace, ifname: UNDERLAY_IFNAME, mtu },
      { namespace: wire, ifname: name },
    );
    await wire.ip(`link set dev ${name} master wire`);
    await host.namespace.ip(`
      address add ${host.address[4]}/24 dev ${UNDERLAY_IFNAME}
      address add ${host.address[6]}/64 dev ${UNDERLAY_IFNAME} nodad
    `);
    if (spec.offload === 'wire') await cutOffloads(host.namespace, UNDERLAY_IFNAME);
    hosts.push(host);
  }
  return { hosts, wire };
}

/** A container without an interface; a site gives it one. `n` makes its addresses: 10.0.0.n, fd00:10::n. */
export async function createContainer(scope: Scope, name: string, n: number): Promise<Container> {
  return {
    name,
    namespace: await createNamespace(scope, name),
    ifname: 'eth0',
    mac: `02:42:0a:00:00:${n.toString(16).padStart(2, '0')}`,
    address: { 4: `10.0.0.${n}`, 6: `fd00:10::${n}` },
  };
}

/** Gives a container a veth interface whose other end is `peerIfname` in the host. */
export async function connectContainer(
  host: Host,
  container: Container,
  link: { readonly peerIfname: string; readonly mtu: number },
): Promise<void> {
  const { namespace, ifname } = container;
  await connect(
    { namespace, ifname, mtu: link.mtu },
    { namespace: host.namespace, ifname: link.peerIfname },
  );
  await namespace.ip(`
    link set dev ${ifname} address ${container.mac}
    address add ${container.address[4]}/24 dev ${ifname}
    address add ${container.address[6]}/64 dev ${ifname} nodad
  `);
}

/** From now on what is sent there is cut to the MTU and carries its checksums. */
export async function cutOffloads(namespace: Namespace, ifname: string): Promise<void> {
  const off = ['tx', 'tso', 'gso', 'gro', 'tx-udp-segmentation'].flatMap((name) => [name, 'off']);
  await namespace.exec('ethtool', ['-K', ifname, ...off]);
}

/** Bytes that VXLAN adds to an inner IP packet: Ethernet 14 + VXLAN 8 + UDP 8 + outer IP. */
export function overhead(family: Family): number {
  return 14 + 8 + 8 + (family === 4 ? 20 : 40);
}

async function createHost(scope: Scope, name: string, n: number): Promise<Host> {
  const namespace = await createNamespace(scope, name);
  return { name, namespace, address: { 4: `10.200.0.${n}`, 6: `fd00:200::${n}` } };
}

/** The underlay interface of every host. */
export const UNDERLAY_IFNAME = 'und0';
