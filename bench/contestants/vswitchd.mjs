// This repository's switch: its TAPs are the containers' interfaces.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../tools/setup/child.mjs';
import { buildBridge } from './kernel.mjs';

/** Facilities of the kernel that the configuration can switch off, as an older kernel lacks them. */
export const facilities = ['udp_gso', 'udp_gro', 'vnet_hdr', 'multi_queue', 'recvmmsg', 'sendmmsg'];

/** Starts a vswitchd on each host; `datapath` is that section of their configuration. */
export async function startVswitchd(lab, site, datapath = {}) {
  const { a, b, label } = site;
  const daemons = [
    await startDaemon(lab, { host: a, peer: b, label, datapath }),
    await startDaemon(lab, { host: b, peer: a, label, datapath }),
  ];
  return { pids: daemons.map(({ pid }) => pid), sockets: daemons.map(({ socket }) => socket) };
}

/** Starts one on host a; host b has the kernel's own vxlan. */
export async function startMixed(lab, { a, b, label }) {
  await buildBridge(lab, b, a);
  const { pid } = await startDaemon(lab, { host: a, peer: b, label, datapath: {} });
  return { pids: [pid] };
}

async function startDaemon(lab, { host, peer, label, datapath }) {
  const folder = lab.folder(`${label}-${host.name}`);
  const file = join(folder, 'vswitchd.yaml');
  writeFileSync(file, JSON.stringify(configOf(folder, { host, peer, datapath })));
  const program = [process.execPath, join(root, 'dist/bin/vswitchd.js'), '--config', file];
  const child = lab.spawn(host.namespace, program);
  await child.saying(/"msg":"ready"/, lab.signal);
  return { pid: child.pid, socket: join(folder, 'control.sock') };
}

/** JSON is YAML. */
function configOf(folder, { host, peer, datapath }) {
  const ports = host.containers.map(({ name, namespace, mac, address }) => {
    return { name, netns: namespace, ifname: 'eth0', mac, addresses: [`${address}/24`] };
  });
  return {
    vtep: { address: host.address },
    control: { socket: join(folder, 'control.sock') },
    datapath,
    networks: [{ name: 'net', vni: 256, peers: [peer.address], ports }],
  };
}
