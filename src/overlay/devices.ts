// Which TAP devices an intent means, and where. Pure.

import type { OwnedTap } from '../datapath/seam.js';
import { netnsPath } from '../model/netns.js';
import { hasInterface, ifnameOf, type Port } from '../model/network.js';
import type { NamespaceId, Sighting } from './namespaces.js';
import type { Intent } from './plan.js';

/** What is seen at the place of each port, by its name. */
export type Sightings = ReadonlyMap<string, Sighting | undefined>;

/** Where a port's TAP belongs; `namespace` is `undefined` while nobody knows. */
export interface Device {
  readonly port: Port;
  readonly path: string | undefined;
  readonly namespace: NamespaceId | undefined;
  readonly ifname: string;
}

/** By port name. */
export function devicesOf(intent: Intent, ids: Sightings): Map<string, Device> {
  const taps = portsOf(intent).filter((port) => port.kind === 'tap');
  return new Map(
    taps.map((port) => {
      const path = namespacePath(port);
      const ours = port.handover === undefined ? 'own' : `of ${port.handover}`;
      const namespace = path === undefined ? ours : ids.get(port.name)?.namespace;
      return [port.name, { port, path, namespace, ifname: ifnameOf(port) }];
    }),
  );
}

/** Ports that are to have the place of another port's TAP, and whose: they wait until that is swept. */
export function heirsOf(
  old: ReadonlyMap<string, Device>,
  next: ReadonlyMap<string, Device>,
): Map<string, string> {
  const key = ({ namespace, ifname }: Device) => `${namespace} ${ifname}`;
  const owners = new Map([...old].map(([name, device]) => [key(device), name]));
  const heirs = new Map<string, string>();
  for (const [name, device] of next) {
    const before = old.get(name);
    if (device.namespace === undefined || (before && key(before) === key(device))) continue;
    const owner = owners.get(key(device));
    if (owner !== undefined && owner !== name) heirs.set(name, owner);
  }
  return heirs;
}

/** A TAP that no port wants any more. With `sandbox` it is there or in our own namespace, under any name. */
export interface RetiredTap extends OwnedTap {
  readonly sandbox?: string;
}

/** TAPs that `old` names and `next` does not, or in another place; dormant ports are named too. */
export function retiredTaps(old: Intent, next: Intent): RetiredTap[] {
  const key = (tap: RetiredTap) => `${tap.port} ${tap.ifname} ${tap.netns ?? ''}`;
  const kept = new Set(tapsOf(next).map(key));
  return tapsOf(old).filter((tap) => !kept.has(key(tap)));
}

function tapsOf(intent: Intent): RetiredTap[] {
  return (
    [...portsOf(intent), ...(intent.dormant ?? [])]
      // One that was handed over goes with the descriptors.
      .filter((port) => port.kind === 'tap' && port.handover === undefined)
      .map((port) => {
        const netns = namespacePath(port);
        return {
          ...(netns === undefined ? {} : { netns }),
          ...(port.sandbox === undefined ? {} : { sandbox: port.sandbox }),
          ifname: ifnameOf(port),
          port: port.name,
        };
      })
  );
}

export function portsOf(intent: Intent): Port[] {
  return intent.networks.flatMap((network) => network.ports);
}

/** The namespace that the port must be in; `undefined` when that is none of our business. */
export function namespacePath(port: Port): string | undefined {
  return hasInterface(port) && port.netns !== undefined ? netnsPath(port.netns) : undefined;
}
