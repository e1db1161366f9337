// The kernel's own: a vxlan device and a bridge. What every figure is compared with.
import { containerMtu, joinContainer, underlayIfname } from '../lab/site.mjs';

/** Builds it on both hosts. There is no daemon. */
export async function startKernel(lab, site) {
  for (const [host, peer] of [
    [site.a, site.b],
    [site.b, site.a],
  ]) {
    await buildBridge(lab, host, peer);
  }
  return { pids: [] };
}

/** Builds it on `host`. */
export async function buildBridge(lab, host, peer) {
  const { namespace, address } = host;
  await lab.ip(namespace, [
    `link add name vx0 type vxlan id 256 dstport 4789 local ${address} dev ${underlayIfname}`,
    'link add name br0 type bridge mcast_snooping 0',
    `link set dev vx0 mtu ${containerMtu} master br0`,
    'link set dev vx0 up',
    'link set dev br0 up',
  ]);
  const flood = ['append', '00:00:00:00:00:00', 'dev', 'vx0', 'dst', peer.address];
  await lab.inside(namespace, ['bridge', 'fdb', ...flood]);
  // Where br_netfilter is loaded every frame would go through iptables: the kernel is measured at its best.
  await lab.sysctl(namespace, {
    'bridge/bridge-nf-call-iptables': 0,
    'bridge/bridge-nf-call-ip6tables': 0,
    'bridge/bridge-nf-call-arptables': 0,
  });
  for (const container of host.containers) {
    await joinContainer(lab, host, container);
    await lab.ip(namespace, [`link set dev ${container.name} master br0`]);
  }
}
