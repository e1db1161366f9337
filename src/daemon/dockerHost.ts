// This host as Docker's drivers see it: networks and addresses are the store's, containers the overlay's.

import { networkRequestSchema } from '../config/networkSchema.js';
import type { Datapath } from '../datapath/datapath.js';
import type { DockerEndpoint, DockerHost, DockerNetwork, OverlayNetwork } from '../docker/host.js';
import { SwitchError } from '../model/error.js';
import { parseVtep } from '../model/vtep.js';
import type { ContainerEdits } from '../overlay/containerEdits.js';
import { withoutPrefix } from '../overlay/endpoints.js';
import { freeSubnets, pick } from '../overlay/ipam.js';
import type { Overlay } from '../overlay/overlay.js';
import { defaultMtu, peerKey } from '../overlay/plan.js';
import type { NetworkWish } from '../overlay/shared.js';
import { type SharedNetwork, withoutNetwork, withPeer } from '../store/runtimeState.js';

export interface DockerHostParts {
  readonly overlay: Overlay;
  readonly containers: ContainerEdits;
  readonly datapath: Pick<Datapath, 'interfaces'>;
}

export function dockerHostOf({ overlay, containers, datapath }: DockerHostParts): DockerHost {
  const { sharing } = overlay;
  const viewOf = ({ network, pools }: SharedNetwork): OverlayNetwork => {
    const { name, vni } = network;
    const member = sharing.state.members.get(name)?.get(overlay.base.vtep.address);
    const docker_id = member?.docker_id ?? sharing.state.networks.get(name)?.docker_id;
    const docker_scope = member === undefined ? ('global' as const) : ('local' as const);
    const docker = docker_id === undefined ? {} : { docker_id, docker_scope };
    return { name, vni, mtu: defaultMtu(network, overlay.base), pools, ...docker };
  };
  const known = (name: string) => {
    const shared = overlay.shared.get(name);
    if (shared !== undefined) return viewOf(shared);
    const skip = overlay.skipped.find(({ what }) => what === `network ${name}`);
    if (skip === undefined) throw new SwitchError('NETWORK_UNKNOWN', name);
    throw new SwitchError('CONFLICT', skip.what, { why: skip.why });
  };
  return {
    networks: () => [...overlay.shared.values()].map(viewOf),
    join: async (network) => {
      await join(overlay, network);
      return known(network.name);
    },
    freeSubnet: async (except) => freeSubnet(overlay, [...except, ...subnetsOf(datapath)]),
    leave: (name) => leave(overlay, containers, name),
    reserve: (network, wish) => sharing.reserve(network, wish),
    release: (network, address) => sharing.release(network, address),
    attach: async ({ network, ...endpoint }) => {
      known(network);
      await containers.attach({ ...endpoint, network });
      return { ifname: endpoint.ifname };
    },
    detach: (id) => containers.detach(id),
    endpoints: (): readonly DockerEndpoint[] => containers.containers,
    rename: (id, name, aliases) => containers.rename(id, name, aliases),
    names: (network) => namesIn(overlay, network),
    onChange: (listener) => {
      sharing.onChange(listener);
      overlay.onChange(listener);
    },
  };
}

/** By chance, so that hosts that ask at the same moment part ways. Throws NO_FREE_SUBNET. */
function freeSubnet(overlay: Overlay, except: readonly string[]): string {
  const pools = [...overlay.sharing.state.networks.values()].flatMap((record) => record.pools);
  const taken = [...except, ...pools.map((pool) => pool.subnet)];
  const subnet = pick(freeSubnets(taken, new Set()), 1, Math.random);
  if (subnet === undefined) throw new SwitchError('NO_FREE_SUBNET', 'of Docker');
  return subnet;
}

/** Addresses with prefix length of this host's own interfaces. */
function subnetsOf(datapath: Pick<Datapath, 'interfaces'>): string[] {
  return datapath.interfaces().flatMap((link) => link.addresses);
}

async function join(overlay: Overlay, network: DockerNetwork): Promise<void> {
  const { name, scope, id } = network;
  if (overlay.fromFile(name)) {
    throw new SwitchError('CONFLICT', `network ${name}`, {
      why: 'the configuration file has one of that name',
      fix: 'choose another name, or take it out of the file',
    });
  }
  const { sharing } = overlay;
  // What was joined goes on without the store.
  const isJoined = sharing.health.state !== 'connected' && overlay.shared.has(name);
  if (!isJoined) {
    await sharing.joinNetwork(wishOf(network));
    if (scope === 'local') await sharing.enter(name, id);
    // It is in effect when dockerd hears of it: containers come at once.
    await overlay.follow();
  }
  await addPeers(overlay, network);
}

function wishOf({ name, scope, id, vni, mtu, pools, port_security }: DockerNetwork): NetworkWish {
  const { pools: _, ...settings } = networkRequestSchema.parse({
    name,
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
    port_security: port_security ? 'auto' : 'off',
  });
  const subnet = pools === 'auto' ? undefined : pools[0]?.subnet;
  const network = { ...settings, ...(subnet === undefined ? {} : { subnet }) };
  return scope === 'global'
    ? { network, pools, owner: 'docker-cluster', docker_id: id }
    : { network, pools, owner: 'docker' };
}

/** Those that the network does not have yet, for this host. Throws BAD_VALUE. */
function addPeers(overlay: Overlay, { name, peers }: DockerNetwork): Promise<void> {
  if (peers.length === 0) return Promise.resolve();
  return overlay.edit(async () => {
    const { vtep } = overlay.base;
    const network = overlay.network(name);
    const there = new Set(network.peers.map((peer) => peerKey(peer, network, vtep)));
    let { runtime } = overlay;
    for (const text of peers) {
      const peer = parseVtep(text);
      if (peer === undefined) throw new SwitchError('BAD_VALUE', `peer ${text}`);
      if (peer.address === vtep.address || there.has(peerKey(peer, network, vtep))) continue;
      runtime = withPeer(runtime, { network: name, peer });
    }
    if (runtime !== overlay.runtime) await overlay.add(`peers added to network ${name}`, runtime);
  });
}

async function leave(overlay: Overlay, containers: ContainerEdits, name: string): Promise<void> {
  const { sharing } = overlay;
  for (const { id, network } of containers.containers) {
    if (network === name) await containers.detach(id);
  }
  try {
    const isCluster = sharing.state.networks.get(name)?.owner === 'docker-cluster';
    await (isCluster ? sharing.removeNetwork(name) : sharing.leave(name));
  } catch (error) {
    if (!(error instanceof SwitchError) || error.code !== 'NETWORK_UNKNOWN') throw error;
  }
  if (sharing.state.networks.has(name)) return;
  await overlay.edit(async () => {
    const { runtime } = overlay;
    const rows = [...runtime.ports, ...runtime.peers, ...runtime.fdb];
    if (!rows.some((row) => row.network === name)) return;
    await overlay.change(`network ${name} left`, withoutNetwork(runtime, name));
  });
}

/** This host's containers whether the store has them yet or not. */
function namesIn(overlay: Overlay, network: string): ReturnType<DockerHost['names']> {
  const self = overlay.base.vtep.address;
  const elsewhere = [...(overlay.sharing.state.endpoints.get(network)?.values() ?? [])].filter(
    ({ host }) => host !== self,
  );
  const here = overlay.announced.filter((endpoint) => endpoint.network === network);
  return [...here, ...elsewhere].flatMap(({ name, aliases, addresses }) =>
    [...(name === undefined ? [] : [name]), ...aliases].map((known) => ({
      name: known,
      addresses: addresses.map(withoutPrefix),
    })),
  );
}
