/**
 * Whether a host's tables are what the store says. Written from the records alone, without the code
 * that makes the tables.
 */

import {
  decode,
  type EndpointRecord,
  type HostRecord,
  type Item,
} from '../../src/store/records.js';

/** A host's tables as its API shows them; what is not named here does not matter. */
export interface HostTables {
  /** Address of its VTEP. */
  readonly vtep: string;
  readonly networks: readonly {
    readonly name: string;
    readonly source: string;
    readonly peers: readonly { readonly address: string; readonly origin: string }[];
    readonly ports: readonly unknown[];
  }[];
  readonly fdb: readonly {
    readonly network: string;
    readonly mac: string;
    readonly origin: string;
    readonly vtep?: string | undefined;
    readonly udp_port?: number | undefined;
  }[];
  readonly neighbors: readonly {
    readonly network: string;
    readonly ip: string;
    readonly mac: string;
    readonly state: string;
    readonly vtep?: string | undefined;
  }[];
}

/**
 * What differs, in words; empty: they agree. Only networks in which the host has ports count. A lost host
 * may be flooded to or not, as that depends on for how long it has been lost.
 *
 * @param store value by key, all that is below the prefix
 */
export function disagreements(store: ReadonlyMap<string, string>, tables: HostTables): string[] {
  const items = [...store].map(([key, value]) => decode(key, value));
  const of = <K extends Item['kind']>(kind: K) =>
    items.filter((item): item is Extract<Item, { kind: K }> => item.kind === kind);
  const live = new Map(of('host').map(({ vtep, record }) => [vtep, record]));
  const inUse = tables.networks.filter(
    ({ source, ports }) => source === 'store' && ports.length > 0,
  );
  return inUse.flatMap(({ name, peers }) => {
    const record = of('network').find(({ network }) => network === name)?.record;
    if (record === undefined) return [`network ${name}: the store does not have it`];
    const world: World = {
      live,
      self: tables.vtep,
      udpPort: record.network.port,
      endpoints: of('endpoint')
        .filter(({ network }) => network === name)
        .map((item) => item.record),
    };
    const fdb = tables.fdb.filter(
      ({ network, origin, vtep }) => network === name && origin === 'control' && vtep !== undefined,
    );
    const neighbors = tables.neighbors.filter(({ network }) => network === name);
    return [
      ...compare(
        'FDB entry',
        expectedFdb(world),
        fdb.map(({ mac, vtep, udp_port }) => `${mac} at ${vtep}:${udp_port}`),
      ),
      ...compare(
        'neighbor',
        expectedNeighbors(world),
        neighbors.map(
          ({ ip, mac, state, vtep = 'here' }) => `${ip} is ${mac} at ${vtep}, ${state}`,
        ),
      ),
      ...peerDifferences(world, peers),
    ].map((difference) => `network ${name}: ${difference}`);
  });
}

interface World {
  readonly live: ReadonlyMap<string, HostRecord>;
  readonly self: string;
  readonly udpPort: number | undefined;
  readonly endpoints: readonly EndpointRecord[];
}

function expectedFdb({ live, self, udpPort, endpoints }: World): string[] {
  return endpoints
    .filter(({ host }) => host !== self && live.has(host))
    .map(({ host, mac }) => `${mac} at ${host}:${udpPort ?? live.get(host)?.port}`);
}

function expectedNeighbors({ live, self, endpoints }: World): string[] {
  return endpoints.flatMap(({ host, mac, addresses }) =>
    addresses.map((address) => {
      const [ip] = address.split('/');
      if (host === self) return `${ip} is ${mac} at here, local`;
      return `${ip} is ${mac} at ${host}, ${live.has(host) ? 'live' : 'dead'}`;
    }),
  );
}

function peerDifferences(
  { live, self, endpoints }: World,
  peers: HostTables['networks'][number]['peers'],
): string[] {
  const others = new Set(endpoints.map(({ host }) => host).filter((host) => host !== self));
  const found = peers.filter(({ origin }) => origin === 'control').map(({ address }) => address);
  const mayBe = [...others].filter((host) => live.has(host) || found.includes(host));
  return compare('peer', mayBe, found);
}

function compare(what: string, expected: readonly string[], found: readonly string[]): string[] {
  const left = [...found];
  const missing: string[] = [];
  for (const item of expected) {
    const at = left.indexOf(item);
    if (at < 0) missing.push(item);
    else left.splice(at, 1);
  }
  return [
    ...missing.map((item) => `${what} is missing: ${item}`),
    ...left.map((item) => `${what} is not the store's: ${item}`),
  ];
}
