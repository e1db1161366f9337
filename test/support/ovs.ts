/**
 * A host whose overlay end is Open vSwitch's userspace datapath.
 *
 *   container eth0 ── veth ── br-int ── vxlan port
 *                                          │ (encapsulated, routed by the host's own table)
 *                             br-phy ── und0        the underlay address stands on br-phy
 *
 * Userspace tunnels need the underlay address on a netdev bridge's own port: Open vSwitch answers ARP and
 * finds routes there (its guide "Connecting VMs Using Tunnels (Userspace)"). Its netdev ports neither take
 * superframes nor fill in checksums, so everything around it is cut to the MTU: build the underlay with
 * `offload: 'wire'`.
 *
 * Each instance has its own folder for database, sockets and logs; no system service takes part.
 */

import { join } from 'node:path';
import { eventually, Hopeless } from './eventually.js';
import { type Namespace, temporaryDirectory } from './netns.js';
import type { Scope } from './scope.js';
import {
  type Container,
  connectContainer,
  cutOffloads,
  type Family,
  type Host,
  overhead,
  UNDERLAY_IFNAME,
} from './topology.js';

export interface OvsSpec {
  readonly vni: number;
  readonly peers: readonly string[];
  readonly family: Family;
  /** `fixed`: a tunnel port per peer. `flow`: one port for any peer, its table filled from `peers`. */
  readonly remote?: 'fixed' | 'flow';
  readonly udpPort?: number;
  readonly udpChecksum?: boolean;
}

export interface Ovs {
  attach(container: Container): Promise<void>;
  /** Takes the container's interface away. */
  detach(container: Container): Promise<void>;
  /** `ovs-appctl ...`, for questions and messages of failing tests. */
  appctl(...args: string[]): Promise<string>;
}

/** Starts an Open vSwitch in the host's namespace and moves the underlay address to its bridge. */
export async function createOvs(scope: Scope, host: Host, spec: OvsSpec): Promise<Ovs> {
  const tools = await startDaemons(scope, host.namespace);
  await tools.vsctl('add-br', 'br-phy', ...NETDEV('br-phy'));
  await tools.vsctl('add-port', 'br-phy', UNDERLAY_IFNAME);
  await host.namespace.ip(`
    address flush dev ${UNDERLAY_IFNAME}
    address add ${host.address[4]}/24 dev br-phy
    address add ${host.address[6]}/64 dev br-phy nodad
    link set dev br-phy up
  `);
  await cutOffloads(host.namespace, 'br-phy');
  await tools.vsctl('add-br', 'br-int', ...NETDEV('br-int'));
  for (const [index, options] of tunnelOptions(host, spec).entries()) {
    const port = `vx${index}`;
    await tools.vsctl(
      ...['add-port', 'br-int', port, '--', 'set', 'interface', port, 'type=vxlan', ...options],
    );
  }
  if (spec.remote === 'flow') await floodTo(tools, spec.peers);
  await eventually('a route of the underlay in Open vSwitch', async () =>
    (await tools.appctl('ovs/route/show')).includes(`${host.address[spec.family]}/`),
  );
  return {
    appctl: tools.appctl,
    detach: async (container) => {
      await tools.vsctl('del-port', 'br-int', container.name);
      await container.namespace.ip(`link del dev ${container.ifname}`);
    },
    attach: async (container) => {
      const mtu = UNDERLAY_MTU - overhead(spec.family);
      await connectContainer(host, container, { peerIfname: container.name, mtu });
      await cutOffloads(container.namespace, container.ifname);
      await tools.vsctl('add-port', 'br-int', container.name);
    },
  };
}

interface Tools {
  vsctl(...args: string[]): Promise<string>;
  ofctl(...args: string[]): Promise<string>;
  appctl(...args: string[]): Promise<string>;
}

async function startDaemons(scope: Scope, namespace: Namespace): Promise<Tools> {
  const folder = await temporaryDirectory(scope, 'ovs');
  const env = { OVS_RUNDIR: folder, OVS_DBDIR: folder, OVS_LOGDIR: folder, OVS_SYSCONFDIR: folder };
  const database = `unix:${join(folder, 'db.sock')}`;
  const file = join(folder, 'conf.db');
  await namespace.exec('ovsdb-tool', ['create', file, SCHEMA], { env });
  const server = await namespace.spawn(scope, {
    command: 'ovsdb-server',
    args: [file, `--remote=p${database}`, `--unixctl=${join(folder, 'ovsdb.ctl')}`],
    env,
  });
  const vsctl = (...args: string[]) =>
    namespace.exec('ovs-vsctl', [`--db=${database}`, '--timeout=20', ...args], { env });
  await eventually('the Open vSwitch database', () => vsctl('--no-wait', 'init').then(() => true));
  const control = join(folder, 'vswitchd.ctl');
  const daemon = await namespace.spawn(scope, {
    command: 'ovs-vswitchd',
    args: [database, `--unixctl=${control}`, '--disable-system'],
    env,
  });
  const appctl = (...args: string[]) =>
    namespace.exec('ovs-appctl', ['-t', control, ...args], { env });
  await eventually('Open vSwitch answers', () => {
    for (const child of [server, daemon]) if (!child.running) throw new Hopeless(child.describe());
    return appctl('version').then(() => true);
  });
  return {
    vsctl,
    appctl,
    ofctl: (...args) => namespace.exec('ovs-ofctl', args, { env }),
  };
}

function tunnelOptions(host: Host, spec: OvsSpec): readonly (readonly string[])[] {
  const common = [
    `options:key=${spec.vni}`,
    `options:local_ip=${host.address[spec.family]}`,
    `options:dst_port=${spec.udpPort ?? 4789}`,
    `options:csum=${spec.udpChecksum ?? false}`,
  ];
  if (spec.remote === 'flow') return [[...common, 'options:remote_ip=flow']];
  return spec.peers.map((peer) => [...common, `options:remote_ip=${peer}`]);
}

/** With `remote_ip=flow` the flow table names the tunnel's other end; this one knows only its flood list. */
async function floodTo(tools: Tools, peers: readonly string[]): Promise<void> {
  const set = peers
    .map(
      (peer) => `set_field:${peer}->${peer.includes(':') ? 'tun_ipv6_dst' : 'tun_dst'},output:vx0`,
    )
    .join(',');
  await tools.ofctl('add-flow', 'br-int', 'priority=10,in_port=vx0,actions=NORMAL');
  await tools.ofctl('add-flow', 'br-int', `priority=1,actions=${set}`);
}

const NETDEV = (bridge: string) => ['--', 'set', 'bridge', bridge, 'datapath_type=netdev'];
const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const UNDERLAY_MTU = 1500;
