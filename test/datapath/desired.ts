/** Desired states for a switch that needs no rights: memory ports, memory underlay, one worker. */

import type { DesiredState, NetworkSpec, PortSpec, TunnelSpec } from '../../src/datapath/seam.js';

/** Our own VTEP. */
export const OWN = '10.200.0.1';
export const PEER = '10.200.0.2';
export const OTHER_PEER = '10.200.0.3';

export function desired(...networks: NetworkSpec[]): DesiredState {
  return {
    vtep: {
      address: OWN,
      ttl: 64,
      tos: 0,
      ecn: 'normal',
      udpChecksum: true,
      sourcePorts: { min: 49152, max: 65535, pool: 16 },
      symmetricHash: false,
      memory: true,
      allowOuterFragmentation: false,
    },
    engine: {
      owner: '/run/vswitchd/test.sock',
      workers: 1,
      udpGso: true,
      udpGro: true,
      vnetHdr: true,
      multiQueue: true,
      recvmmsg: true,
      sendmmsg: true,
      spin: true,
      underlay: 'udp',
    },
    underlayMtu: 1500,
    networks,
  };
}

/** The defaults of the configuration, `learning` on and nothing attached. */
export function network(name: string, vni: number, given: Partial<NetworkSpec> = {}): NetworkSpec {
  return {
    name,
    vni,
    udpPort: 4789,
    up: true,
    mssClamp: true,
    learning: true,
    ageingSecs: 300,
    maxMacs: 16_384,
    evictOldest: false,
    strictSource: true,
    dropUnknownUnicast: false,
    reservedBits: 'ignore',
    reservedBitsMask: '0000000000000000',
    pcpTos: [],
    innerVlan: 'discard',
    innerVlans: [],
    priorityTag: 'strip',
    groupForwardMask: 0,
    openPeers: false,
    ports: [],
    tunnels: [],
    fdb: [],
    neighbors: [],
    ...given,
  };
}

export function port(name: string, given: Partial<PortSpec> = {}): PortSpec {
  return {
    name,
    kind: 'memory',
    mtu: 1450,
    addresses: [],
    floodUnknown: true,
    floodBroadcast: true,
    hairpin: false,
    maxMacs: 1024,
    ...given,
  };
}

/** To the IANA port. */
export function tunnel(remote: string, vni: number, given: Partial<TunnelSpec> = {}): TunnelSpec {
  return { remote, udpPort: 4789, vni, flood: true, ...given };
}

/** Network `net`, VNI 256: ports a and b, peer `PEER`. */
export function lab(given: Partial<NetworkSpec> = {}): NetworkSpec {
  return network('net', 256, {
    ports: [port('a'), port('b')],
    tunnels: [tunnel(PEER, 256)],
    ...given,
  });
}
