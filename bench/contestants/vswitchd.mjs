// This repository's switch: its TAPs are the containers' interfaces, or its packet ports the other ends of their veths.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../tools/setup/child.mjs';
import { joinContainer } from '../lab/site.mjs';
import { buildBridge } from './kernel.mjs';

/** Facilities of the kernel that the configuration can switch off, as an older kernel lacks them. */
export const facilities = ['udp_gso', 'udp_gro', 'vnet_hdr', 'multi_queue', 'recvmmsg', 'sendmmsg'];

/** Starts a vswitchd on each host; `datapath` is that section of their configuration, `portOf` makes a port of one. */
export async function startVswitchd(lab, site, { datapath = {}, portOf = tapOf } = {}) {
  const { a, b, label } = site;
  const daemons = [
    await startDaemon(lab, { host: a, peer: b, label, datapath, portOf }),
    await startDaemon(lab, { host: b, peer: a, label, datapath, portOf }),
  ];
  return { pids: daemons.map(({ pid }) => pid), sockets: daemons.map(({ socket }) => socket) };
}

/** The same with a veth pair per container, whose end on the host is a packet port. */
export async function startWithPacketPorts(lab, site, datapath = {}) {
  for (const host of [site.a, site.b]) {
    for (const container of host.containers) {
      await joinContainer(lab, host, container);
      // The host's own stack neither speaks nor answers there.
      await lab.sysctl(host.namespace, { [`ipv6/conf/${container.name}/disable_ipv6`]: 1 });
      await lab.ip(host.namespace, [`link set dev ${container.name} arp off`]);
    }
  }
  return startVswitchd(lab, site, { datapath, portOf: packetPortOf });
}

/** Starts one on host a; host b has the kernel's own vxlan. */
export async function startMixed(lab, { a, b, label }) {
  await buildBridge(lab, b, a);
  const { pid } = await startDaemon(lab, { host: a, peer: b, label, datapath: {}, portOf: tapOf });
  return { pids: [pid] };
}

async function startDaemon(lab, { host, peer, label, datapath, portOf }) {
  const folder = lab.folder(`${label}-${host.name}`);
  const file = join(folder, 'vswitchd.yaml');
  writeFileSync(file, JSON.stringify(configOf(folder, { host, peer, datapath, portOf })));
  const program = [process.execPath, join(root, 'dist/bin/vswitchd.js'), '--config', file];
  const child = lab.spawn(host.namespace, program);
  await child.saying(/"msg":"ready"/, lab.signal);
  return { pid: child.pid, socket: join(folder, 'control.sock') };
}

/** JSON is YAML. */
function configOf(folder, { host, peer, datapath, portOf }) {
  const ports = host.containers.map(portOf);
  return {
    vtep: { address: host.address },
    control: { socket: join(folder, 'control.sock') },
    datapath,
    networks: [{ name: 'net', vni: 256, peers: [peer.address], ports }],
  };
}

function tapOf({ name, namespace, mac, address }) {
  return { name, netns: namespace, ifname: 'eth0', mac, addresses: [`${address}/24`] };
}

function packetPortOf({ name }) {
  return { name, kind: 'packet', ifname: name };
}
