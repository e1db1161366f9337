// This repository's switch: its TAPs are the containers' interfaces.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../tools/setup/child.mjs';

/** Facilities of the kernel that the configuration can switch off, as an older kernel lacks them. */
export const facilities = ['udp_gso', 'udp_gro', 'vnet_hdr', 'multi_queue', 'recvmmsg', 'sendmmsg'];

/** Starts a vswitchd on each host, without the facilities named in `off`. */
export async function startVswitchd(lab, site, off = []) {
  const pids = [];
  for (const [host, peer] of [
    [site.a, site.b],
    [site.b, site.a],
  ]) {
    const folder = lab.folder(`${site.label}-${host.name}`);
    const file = join(folder, 'vswitchd.yaml');
    writeFileSync(file, JSON.stringify(configOf(folder, { host, peer, off })));
    const program = [process.execPath, join(root, 'dist/bin/vswitchd.js'), '--config', file];
    const child = lab.spawn(host.namespace, program);
    await child.saying(/"msg":"ready"/, lab.signal);
    pids.push(child.pid);
  }
  return { pids };
}

/** JSON is YAML. */
function configOf(folder, { host, peer, off }) {
  const ports = host.containers.map(({ name, namespace, mac, address }) => {
    return { name, netns: namespace, ifname: 'eth0', mac, addresses: [`${address}/24`] };
  });
  return {
    vtep: { address: host.address },
    control: { socket: join(folder, 'control.sock') },
    datapath: { features: Object.fromEntries(off.map((name) => [name, 'off'])) },
    networks: [{ name: 'net', vni: 256, peers: [peer.address], ports }],
  };
}
