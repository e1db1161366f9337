// How the API shows networks, ports and FDB entries: settings, joined with what the datapath says.

import type { FdbView, NetworkView, PeerView, PortView } from '../control/views.js';
import type { Counters, FdbEntry, PortCounters } from '../datapath/seam.js';
import { isZeroMac } from '../model/mac.js';
import { netnsPath } from '../model/netns.js';
import {
  type FdbStatic,
  hasInterface,
  ifnameOf,
  type Network,
  type Port,
  udpPortOf,
} from '../model/network.js';
import { formatTunnel } from '../model/vtep.js';
import type { Overlay } from '../overlay/overlay.js';
import { defaultMtu, peersOf } from '../overlay/plan.js';

export function viewNetwork(network: Network, overlay: Overlay, counters: Counters): NetworkView {
  const { name, vni, up } = network;
  const port = udpPortOf(network, overlay.base.vtep);
  const shared = overlay.shared.get(name);
  const owner = overlay.sharing.state.networks.get(name)?.owner;
  const subnet = network.subnet ?? shared?.pools[0]?.subnet;
  const { ports: _ports, peers: _peers, fdb: _fdb, ...settings } = network;
  return {
    name,
    vni,
    port,
    ...(subnet === undefined ? {} : { subnet }),
    mtu: defaultMtu(network, overlay.base),
    up,
    open: network.open ?? network.group !== undefined,
    source: shared === undefined ? 'file' : 'store',
    ...(shared === undefined || owner === undefined ? {} : { owner }),
    pools: shared?.pools.map((pool) => ({ ...pool })) ?? [],
    members: shared === undefined ? [] : membersOf(name, overlay),
    peers: viewPeers(network, overlay, counters),
    ports: viewPorts(network, overlay, counters),
    settings,
  };
}

/** VTEPs of hosts with containers in the network, or on which Docker knows it. */
function membersOf(name: string, { sharing }: Overlay): string[] {
  const { endpoints, members } = sharing.state;
  const hosts = [...(endpoints.get(name)?.values() ?? [])].map(({ host }) => host);
  return [...new Set([...hosts, ...(members.get(name)?.keys() ?? [])])].sort();
}

function viewPeers(network: Network, overlay: Overlay, counters: Counters): PeerView[] {
  const live = counters.networks.find((item) => item.name === network.name)?.ports ?? [];
  const named = peersOf(network, overlay.base.vtep).map((peer) => ({
    ...peer,
    origin: 'static' as const,
  }));
  const told = (overlay.around.get(network.name)?.remote.vteps ?? []).map((vtep) => ({
    ...{ address: vtep.address, port: vtep.udpPort, vni: network.vni },
    origin: 'control' as const,
  }));
  const isNew = (peer: PeerView) =>
    !named.some(
      ({ address, port, vni }) =>
        address === peer.address && port === peer.port && vni === peer.vni,
    );
  return [...named, ...told.filter(isNew)].map((peer) => {
    const name = formatTunnel(peer, network.vni);
    const tunnel = live.find((item) => item.kind === 'tunnel' && item.name === name);
    return { ...peer, ...(tunnel?.pathMtu === undefined ? {} : { path_mtu: tunnel.pathMtu }) };
  });
}

export function viewPorts(network: Network, overlay: Overlay, counters: Counters): PortView[] {
  const live = counters.networks.find((item) => item.name === network.name)?.ports ?? [];
  return network.ports.map((port) => {
    const running = live.find((item) => item.kind !== 'tunnel' && item.name === port.name);
    return viewPort(port, network, overlay, running);
  });
}

function viewPort(
  port: Port,
  network: Network,
  overlay: Overlay,
  live: PortCounters | undefined,
): PortView {
  const condition = overlay.portCondition(port.name);
  const mac = live?.mac ?? port.mac;
  const endpoint = overlay.runtime.ports.find((row) => row.port.name === port.name)?.endpoint;
  const netns = port.netns === undefined ? live?.netns : netnsPath(port.netns);
  return {
    name: port.name,
    network: network.name,
    kind: port.kind,
    source: overlay.portFromFile(port.name) ? 'file' : endpoint === undefined ? 'api' : 'docker',
    ...stateOf(condition, live),
    ...(netns === undefined ? {} : { netns }),
    ...(hasInterface(port) ? { ifname: live?.ifname ?? ifnameOf(port) } : {}),
    ...(live?.ifindex === undefined ? {} : { ifindex: live.ifindex }),
    ...(mac === undefined ? {} : { mac }),
    mtu: live?.mtu ?? port.mtu ?? defaultMtu(network, overlay.base),
    addresses: [...(endpoint?.addresses ?? port.addresses)],
    ...(endpoint === undefined ? {} : { container: endpoint.name ?? endpoint.id }),
    secured: overlay.isGuarded(port.name),
  };
}

function stateOf(
  condition: ReturnType<Overlay['portCondition']>,
  live: PortCounters | undefined,
): Pick<PortView, 'state' | 'reason'> {
  if (condition?.state === 'waiting') return { state: 'waiting', reason: condition.reason };
  if (live?.state === 'gone') return { state: 'gone', reason: 'its device disappeared' };
  if (live === undefined)
    return { state: 'waiting', reason: 'the running switch does not have it' };
  return { state: 'up' };
}

export function viewFdbEntry(entry: FdbEntry): FdbView {
  return {
    network: entry.network,
    vni: entry.vni,
    mac: entry.mac,
    origin: entry.origin,
    active: entry.active,
    ...(entry.port === undefined ? {} : { port: entry.port }),
    ...(entry.remote === undefined ? {} : { vtep: entry.remote }),
    ...(entry.udpPort === undefined ? {} : { udp_port: entry.udpPort }),
    ...(entry.tunnelVni === undefined ? {} : { tunnel_vni: entry.tunnelVni }),
    local: entry.local,
    idle: entry.idleSecs,
  };
}

/** Static entries that the datapath does not run: their port waits, or they only fill the flood list. */
export function viewDormantFdb(network: Network, running: readonly FdbEntry[]): FdbView[] {
  const known = new Set(
    running.filter((entry) => entry.network === network.name).map((entry) => entry.mac),
  );
  return network.fdb
    .filter((entry) => !known.has(entry.mac))
    .map((entry) => viewStatic(network, entry, isZeroMac(entry.mac)));
}

function viewStatic(network: Network, entry: FdbStatic, active: boolean): FdbView {
  return {
    network: network.name,
    vni: network.vni,
    mac: entry.mac,
    origin: 'static',
    active,
    ...(entry.port === undefined ? {} : { port: entry.port }),
    ...(entry.vtep === undefined ? {} : { vtep: entry.vtep }),
    ...(entry.udp_port === undefined ? {} : { udp_port: entry.udp_port }),
    ...(entry.vni === undefined ? {} : { tunnel_vni: entry.vni }),
    local: entry.local === true,
    idle: 0,
  };
}
