/**
 * A host whose overlay end is the kernel's own: one vxlan device and one bridge per network.
 *
 *   container eth0 ── veth ── br0 ── vx0 ── und0
 */

import {
  type Container,
  connectContainer,
  type Family,
  type Host,
  overhead,
  UNDERLAY_IFNAME,
} from './topology.js';

export interface KernelVxlanSpec {
  readonly vni: number;
  /** VTEPs that get broadcast, unknown unicast and multicast. */
  readonly peers: readonly string[];
  readonly family: Family;
  readonly udpPort?: number;
  /** UDP checksum of what it sends; default as the kernel's: on. */
  readonly udpChecksum?: boolean;
  /** Distinguishes several networks on one host. */
  readonly index?: number;
}

export interface KernelVxlan {
  readonly device: string;
  readonly bridge: string;
  /** Gives the container an interface on this network. */
  attach(container: Container): Promise<void>;
  /** Takes the container's interface away. */
  detach(container: Container): Promise<void>;
  /** The vxlan device's own table: MAC -> VTEP. */
  fdb(): Promise<readonly { readonly mac: string; readonly dst?: string }[]>;
}

/** The devices live in the host's namespace and go with it. */
export async function createKernelVxlan(host: Host, spec: KernelVxlanSpec): Promise<KernelVxlan> {
  const { namespace } = host;
  const index = spec.index ?? 0;
  const device = `vx${index}`;
  const bridge = `br${index}`;
  const mtu = UNDERLAY_MTU - overhead(spec.family);
  await namespace.ip(`
    link add name ${device} type vxlan id ${spec.vni} dstport ${spec.udpPort ?? 4789} \
local ${host.address[spec.family]} dev ${UNDERLAY_IFNAME} ${checksumFlag(spec)}
    link add name ${bridge} type bridge mcast_snooping 0
    link set dev ${device} mtu ${mtu} master ${bridge}
    link set dev ${device} up
    link set dev ${bridge} up
  `);
  for (const peer of spec.peers) {
    const entry = ['append', '00:00:00:00:00:00', 'dev', device, 'dst', peer];
    await namespace.exec('bridge', ['fdb', ...entry]);
  }
  return {
    device,
    bridge,
    attach: async (container) => {
      await connectContainer(host, container, { peerIfname: container.name, mtu });
      await namespace.ip(`link set dev ${container.name} master ${bridge}`);
    },
    detach: (container) => container.namespace.ip(`link del dev ${container.ifname}`),
    fdb: async () => {
      const out = await namespace.exec('bridge', ['-j', 'fdb', 'show', 'dev', device]);
      return JSON.parse(out === '' ? '[]' : out);
    },
  };
}

function checksumFlag({ family, udpChecksum = true }: KernelVxlanSpec): string {
  if (family === 4) return udpChecksum ? 'udpcsum' : 'noudpcsum';
  return udpChecksum ? 'noudp6zerocsumtx' : 'udp6zerocsumtx';
}

const UNDERLAY_MTU = 1500;
