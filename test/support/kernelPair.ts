import { createKernelVxlan, type KernelVxlan } from './kernelVxlan.js';
import type { Scope } from './scope.js';
import { type Container, createContainer, createUnderlay, type Host } from './topology.js';
import { type NetworkConfig, portOf, Vswitchd } from './vswitchd.js';

/** vswitchd on one host, the kernel's vxlan on another, a container at each, and a host with neither. */
export interface KernelPair {
  readonly one: Host;
  readonly two: Host;
  /** Has no overlay end: answers datagrams with port unreachable. */
  readonly three: Host;
  readonly c1: Container;
  readonly c2: Container;
  readonly vswitchd: Vswitchd;
  readonly kernel: KernelVxlan;
  /** The network as vswitchd was told: name `net`, VNI 256, port c1. */
  readonly network: NetworkConfig;
}

/**
 * Builds it over IPv4.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 *                                        ══ host three
 */
export async function createKernelPair(
  scope: Scope,
  settings: Partial<NetworkConfig> = {},
): Promise<KernelPair> {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
  const [one, two, three] = hosts as [Host, Host, Host];
  const c1 = await createContainer(scope, 'c1', 1);
  const c2 = await createContainer(scope, 'c2', 2);
  const peers = [one.address[4]];
  const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers });
  await kernel.attach(c2);
  const network = {
    name: 'net',
    vni: 256,
    peers: [two.address[4]],
    ports: [portOf(c1)],
    ...settings,
  };
  const vswitchd = await Vswitchd.start(scope, one, { networks: [network] });
  return { one, two, three, c1, c2, vswitchd, kernel, network };
}
