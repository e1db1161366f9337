// Open vSwitch's userspace datapath, with a database and daemons of its own.
//
//   container eth0 ── veth ── br-int ── vxlan port ── br-phy ── und0      the underlay address stands on br-phy
//
// Its netdev ports fill in no checksums, so the containers do; they take no superframes either.
import { join } from 'node:path';
import { joinContainer, switchOff, underlayIfname, until } from '../lab/site.mjs';

const schema = '/usr/share/openvswitch/vswitch.ovsschema';
const netdevBridge = (name) => [name, '--', 'set', 'bridge', name, 'datapath_type=netdev'];
const checksumsAndSegments = ['tx', 'tso', 'gso', 'gro', 'tx-udp-segmentation'];

/** Starts it on both hosts. */
export async function startOvs(lab, site) {
  return {
    pids: [await startHost(lab, site.a, site.b), await startHost(lab, site.b, site.a)].flat(),
  };
}

async function startHost(lab, host, peer) {
  const { namespace, address } = host;
  const { pids, vsctl, appctl } = await startDaemons(lab, host);
  await vsctl('add-br', ...netdevBridge('br-phy'));
  await vsctl('add-port', 'br-phy', underlayIfname);
  await lab.ip(namespace, [
    `address flush dev ${underlayIfname}`,
    `address add ${address}/24 dev br-phy`,
    'link set dev br-phy up',
  ]);
  await switchOff(lab, { namespace, ifname: 'br-phy' }, checksumsAndSegments);
  await vsctl('add-br', ...netdevBridge('br-int'));
  const tunnel = [`local_ip=${address}`, `remote_ip=${peer.address}`, 'key=256'];
  const options = ['type=vxlan', ...tunnel.map((option) => `options:${option}`)];
  await vsctl('add-port', 'br-int', 'vx0', '--', 'set', 'interface', 'vx0', ...options);
  for (const container of host.containers) {
    await joinContainer(lab, host, container);
    const end = { namespace: container.namespace, ifname: 'eth0' };
    await switchOff(lab, end, checksumsAndSegments);
    await vsctl('add-port', 'br-int', container.name);
  }
  const routes = async () => (await appctl('ovs/route/show')).includes(`${address}/`);
  await until('a route of the underlay in Open vSwitch', routes, lab.signal);
  return pids;
}

async function startDaemons(lab, host) {
  const { namespace } = host;
  const folder = lab.folder(`ovs-${host.name}`);
  const env = { OVS_RUNDIR: folder, OVS_DBDIR: folder, OVS_LOGDIR: folder, OVS_SYSCONFDIR: folder };
  const [file, socket] = [join(folder, 'conf.db'), `unix:${join(folder, 'db.sock')}`];
  await lab.exec('ovsdb-tool', ['create', file, schema], { env });
  const serverControl = `--unixctl=${join(folder, 'ovsdb.ctl')}`;
  const server = lab.spawn(
    namespace,
    ['ovsdb-server', file, `--remote=p${socket}`, serverControl],
    {
      env,
    },
  );
  const vsctl = (...args) =>
    lab.inside(namespace, ['ovs-vsctl', `--db=${socket}`, '--timeout=20', ...args], { env });
  const answers = (question) => () => question().then(() => true);
  const initialise = answers(() => vsctl('--no-wait', 'init'));
  await until('the database of Open vSwitch', initialise, lab.signal);
  const control = join(folder, 'vswitchd.ctl');
  const flags = [`--unixctl=${control}`, '--disable-system'];
  const daemon = lab.spawn(namespace, ['ovs-vswitchd', socket, ...flags], { env });
  const appctl = (...args) =>
    lab.inside(namespace, ['ovs-appctl', '-t', control, ...args], { env });
  const version = answers(() => appctl('version'));
  await until('Open vSwitch', version, lab.signal);
  return { pids: [server.pid, daemon.pid], vsctl, appctl };
}
