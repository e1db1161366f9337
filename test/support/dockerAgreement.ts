/**
 * Whether all hosts tell the same story: what Docker runs is what the store holds, and what the store holds is what
 * every vswitchd has in its tables. Written against what operators see, not against the code that makes it so.
 */

import type { FdbView } from '../../src/control/views.js';
import type { TestHost } from './dockerLab.js';

/** A container's interface, from wherever it is told: `NETWORK MAC at VTEP`. */
export type Place = string;

/** The interfaces of the running containers on these hosts in these networks, as their dockerds have them. */
export async function placesInDocker(
  hosts: readonly TestHost[],
  networks: readonly string[],
): Promise<readonly Place[]> {
  const places = hosts.map(async (host) => {
    const ids = (await host.docker('ps', '-q')).split('\n').filter((id) => id !== '');
    if (ids.length === 0) return [];
    const containers = JSON.parse(await host.docker('inspect', ...ids)) as readonly Inspected[];
    return containers.flatMap(({ NetworkSettings }) =>
      Object.entries(NetworkSettings.Networks)
        .filter(([network]) => networks.includes(network))
        .map(([network, { MacAddress }]) => place(network, MacAddress, host.address)),
    );
  });
  return (await Promise.all(places)).flat().sort();
}

/**
 * The same as the store has it, those of lost hosts left out. `entries` are all below its prefix; what is no JSON does
 * not count.
 */
export function placesInStore(entries: ReadonlyMap<string, string>): readonly Place[] {
  const places: Place[] = [];
  for (const [key, value] of entries) {
    const [folder, network] = key.split('/');
    if (folder !== 'endpoints' || network === undefined || !value.startsWith('{')) continue;
    const { host, mac } = JSON.parse(value) as { readonly host: string; readonly mac: string };
    if (entries.has(`hosts/${host}`)) places.push(place(network, mac, host));
  }
  return places.sort();
}

/** What a host should have in its FDB of origin `control`: what other hosts have in the networks that it is in. */
export function expectedControl(places: readonly Place[], self: string): readonly Place[] {
  const mine = places.filter((text) => text.endsWith(` at ${self}`)).map(networkOf);
  return places.filter((text) => !text.endsWith(` at ${self}`) && mine.includes(networkOf(text)));
}

/** What it has. */
export async function controlOf(host: TestHost): Promise<readonly Place[]> {
  const fdb = await host.ctl<readonly FdbView[]>('fdb', 'show');
  return fdb
    .filter(({ origin, vtep }) => origin === 'control' && vtep !== undefined)
    .map(({ network, mac, vtep }) => place(network, mac, `${vtep}`))
    .sort();
}

function place(network: string, mac: string, vtep: string): Place {
  return `${network} ${mac} at ${vtep}`;
}

function networkOf(text: Place): string {
  return text.slice(0, text.indexOf(' '));
}

interface Inspected {
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly MacAddress: string }>>;
  };
}
