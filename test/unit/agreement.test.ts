import { describe, expect, it } from 'vitest';
import { networkSchema } from '../../src/config/networkSchema.js';
import { encode, keys } from '../../src/store/records.js';
import { disagreements, type HostTables } from '../support/agreement.js';

const endpoint = (host: string, last: number) =>
  encode({
    ...{ version: 1, host, mac: `02:00:00:00:00:0${last}`, aliases: [] },
    addresses: [`10.0.0.${last}/24`],
  });
const host = encode({ version: 1, name: 'h', port: 4790, machine: 'm', lease: 'l' });
const network = networkSchema.parse({ name: 'n', vni: 256 });
const store = new Map([
  [keys.host('10.200.0.1'), host],
  [keys.host('10.200.0.2'), host],
  [keys.network('n'), encode({ version: 1, id: 'i', network, pools: [], owner: 'people' })],
  [keys.endpoint('n', 'a'), endpoint('10.200.0.1', 1)],
  [keys.endpoint('n', 'b'), endpoint('10.200.0.2', 2)],
  [keys.endpoint('n', 'c'), endpoint('10.200.0.3', 3)],
  [keys.endpoint('n', 'd'), 'garbage'],
  [keys.endpoint('other', 'e'), endpoint('10.200.0.2', 5)],
]);
const entry = { network: 'n', mac: '02:00:00:00:00:02', vtep: '10.200.0.2', udp_port: 4790 };
const tables: HostTables = {
  vtep: '10.200.0.1',
  networks: [
    {
      ...{ name: 'n', source: 'store', ports: ['p'] },
      peers: [
        { address: '10.200.0.2', origin: 'control' },
        { address: '10.200.0.9', origin: 'static' },
      ],
    },
    { name: 'other', source: 'store', ports: [], peers: [] },
  ],
  fdb: [
    { ...entry, origin: 'control' },
    { ...entry, origin: 'learned', mac: '02:00:00:00:00:99' },
  ],
  neighbors: [
    { network: 'n', ip: '10.0.0.1', mac: '02:00:00:00:00:01', state: 'local' },
    { ...entry, ip: '10.0.0.2', state: 'live' },
    { network: 'n', ip: '10.0.0.3', mac: '02:00:00:00:00:03', state: 'dead', vtep: '10.200.0.3' },
  ],
};

describe('tables', () => {
  it('that are what the store says agree with it', () => {
    expect(disagreements(store, tables)).toEqual([]);
  });

  it('may flood to a lost host', () => {
    const peers = [...tables.networks[0]!.peers, { address: '10.200.0.3', origin: 'control' }];
    const networks = [{ ...tables.networks[0]!, peers }];
    expect(disagreements(store, { ...tables, networks })).toEqual([]);
  });

  it('that lack something do not', () => {
    const networks = [{ ...tables.networks[0]!, peers: [] }];
    expect(disagreements(store, { vtep: tables.vtep, networks, fdb: [], neighbors: [] })).toEqual([
      'network n: FDB entry is missing: 02:00:00:00:00:02 at 10.200.0.2:4790',
      'network n: neighbor is missing: 10.0.0.1 is 02:00:00:00:00:01 at here, local',
      'network n: neighbor is missing: 10.0.0.2 is 02:00:00:00:00:02 at 10.200.0.2, live',
      'network n: neighbor is missing: 10.0.0.3 is 02:00:00:00:00:03 at 10.200.0.3, dead',
      'network n: peer is missing: 10.200.0.2',
    ]);
  });

  it('that have too much do not', () => {
    const twice = { ...tables, fdb: [...tables.fdb, ...tables.fdb] };
    expect(disagreements(store, twice)).toEqual([
      "network n: FDB entry is not the store's: 02:00:00:00:00:02 at 10.200.0.2:4790",
    ]);
    const peers = [...tables.networks[0]!.peers, { address: '10.200.0.4', origin: 'control' }];
    const networks = [{ ...tables.networks[0]!, peers }];
    expect(disagreements(store, { ...tables, networks })).toEqual([
      "network n: peer is not the store's: 10.200.0.4",
    ]);
    const left = new Map([...store].filter(([key]) => key !== keys.network('n')));
    expect(disagreements(left, tables)).toEqual(['network n: the store does not have it']);
  });
});
