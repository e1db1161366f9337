import type { Scope } from './scope.js';
import { type Container, createContainer, createUnderlay, type Host } from './topology.js';
import { portOf, Vswitchd } from './vswitchd.js';

/** Two hosts with vswitchd, a container at each, in the network `net1` of VNI 256. */
export interface OverlayPair {
  readonly a: Vswitchd;
  readonly b: Vswitchd;
  /** 10.0.0.1 at host a. */
  readonly c1: Container;
  /** 10.0.0.2 at host b. */
  readonly c2: Container;
}

/**
 * Builds it over IPv4.
 *
 *   c1 ── vswitchd a (10.200.0.1) ══ underlay ══ vswitchd b (10.200.0.2) ── c2
 */
export async function createOverlayPair(scope: Scope): Promise<OverlayPair> {
  const { hosts } = await createUnderlay(scope, { hosts: ['a', 'b'] });
  const [one, two] = hosts as [Host, Host];
  const c1 = await createContainer(scope, 'c1', 1);
  const c2 = await createContainer(scope, 'c2', 2);
  const start = (host: Host, other: Host, container: Container) =>
    Vswitchd.start(scope, host, {
      networks: [{ name: 'net1', vni: 256, peers: [other.address[4]], ports: [portOf(container)] }],
    });
  return { a: await start(one, two, c1), b: await start(two, one, c2), c1, c2 };
}
