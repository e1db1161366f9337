import { describe, expect, it } from 'vitest';
import { networkSchema } from '../../../src/config/networkSchema.js';
import {
  decode,
  type EndpointRecord,
  encode,
  type Garbage,
  type Item,
  keys,
} from '../../../src/store/records.js';

const network = networkSchema.parse({ name: 'net1', vni: 256 });
const host = { version: 1, name: 'h1', port: 4789, machine: 'm', lease: 'l' } as const;
const endpoint: EndpointRecord = {
  ...{ version: 1, host: '10.200.0.1', mac: '02:42:0a:00:00:02', name: 'web' },
  ...{ addresses: ['10.0.0.2/24', 'fd00::2/64'], aliases: ['www'] },
};

const items: [string, Item][] = [
  [keys.store, { kind: 'store', record: { version: 1, id: 'x' } }],
  [keys.host('10.200.0.1'), { kind: 'host', vtep: '10.200.0.1', record: host }],
  [keys.host('fd00::1'), { kind: 'host', vtep: 'fd00::1', record: host }],
  [
    keys.network('net1'),
    {
      ...{ kind: 'network', network: 'net1' },
      record: {
        ...{ version: 1, id: 'i', network, owner: 'docker', removing: true },
        pools: [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1', range: '10.0.0.128/25' }],
      },
    },
  ],
  [keys.vni(256), { kind: 'vni', vni: 256, record: { version: 1, network: 'net1' } }],
  [
    keys.subnet('10.0.0.0/24'),
    { kind: 'subnet', subnet: '10.0.0.0/24', record: { version: 1, network: 'net1' } },
  ],
  [
    keys.member('net1', '10.200.0.1'),
    {
      ...{ kind: 'member', network: 'net1', vtep: '10.200.0.1' },
      record: { version: 1, docker_id: 'abc' },
    },
  ],
  [
    keys.address('net1', 'fd00::2'),
    {
      ...{ kind: 'address', network: 'net1', ip: 'fd00::2' },
      record: { version: 1, host: '10.200.0.1', use: 'endpoint' },
    },
  ],
  [
    keys.endpoint('net1', '10.200.0.1/c1'),
    { kind: 'endpoint', network: 'net1', id: '10.200.0.1/c1', record: endpoint },
  ],
];

describe('a record', () => {
  it.each(items)('under %s is read as it was written', (key, item) => {
    expect(decode(key, encode(item.record))).toEqual(item);
  });

  it('is one text, in whatever order it was made', () => {
    const { version, ...rest } = host;
    expect(encode({ ...rest, version })).toBe(encode(host));
    expect(encode({ ...endpoint, name: undefined })).not.toContain('name');
  });

  it('has only letters, digits and -_.:/ in its key', () => {
    for (const [key] of items) expect(key).toMatch(/^[A-Za-z0-9\-_.:/]+$/);
  });
});

describe('garbage', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const change = (record: object, more: object) => JSON.stringify({ ...record, ...more });
  it.each([
    ['stores', '{}', 'no record'],
    ['', '{}', 'no record'],
    ['store/x', '{}', 'no record'],
    ['hosts/h1', JSON.stringify(host), 'no record'],
    ['hosts/10.200.0.1/x', JSON.stringify(host), 'no record'],
    ['hosts/FD00::1', JSON.stringify(host), 'no record'],
    ['vnis/0256', '{}', 'no record'],
    ['subnets/10.0.0.1_24', '{}', 'no record'],
    ['members/net1', '{}', 'no record'],
    ['addresses/net1/10.0.0.999', '{}', 'no record'],
    ['endpoints/net1', '{}', 'no record'],
    ['endpoints/-/x', '{}', 'no record'],
    ['hosts/10.200.0.1', 'no JSON', 'it is no JSON'],
    ['hosts/10.200.0.1', '[]', 'mapping'],
    ['hosts/10.200.0.1', 'null', 'mapping'],
    ['hosts/10.200.0.1', change(host, { version: 2 }), 'version: 2 is refused; allowed: 1'],
    ['hosts/10.200.0.1', change(host, { more: 1 }), 'more: unknown key'],
    [
      'networks/net2',
      JSON.stringify({ version: 1, id: 'i', network, pools: [], owner: 'people' }),
      'called net1',
    ],
    [
      'networks/net1',
      JSON.stringify({
        ...{ version: 1, id: 'i', pools: [], owner: 'people' },
        network: { ...network, ports: [{ name: 'p' }] },
      }),
      'has ports',
    ],
    [
      'networks/net1',
      JSON.stringify({
        ...{ version: 1, id: 'i', pools: [], owner: 'people' },
        network: { ...network, peers: ['10.200.0.2'] },
      }),
      'peers',
    ],
    ['store', nested(20_000), 'nested too deeply'],
    ['networks/net1', `{"network": ${nested(20_000)}}`, 'nested too deeply'],
    ['endpoints/net1/e', change(endpoint, { mac: 'ff:ff:ff:ff:ff:ff' }), 'mac'],
    ['endpoints/net1/e', change(endpoint, { name: 'x\n1.2.3.4 www' }), 'name'],
    ['endpoints/net1/e', change(endpoint, { aliases: ['\u001b[31m'] }), 'aliases[0]'],
    ['hosts/10.200.0.1', change(host, { name: '' }), 'name'],
    ['hosts/10.200.0.1', change(host, { name: 'x'.repeat(256) }), 'name'],
    ['endpoints/net1/e', change(endpoint, { addresses: ['10.0.0.2'] }), 'addresses[0]'],
  ])('%s %.60s', (key, value, why) => {
    expect(decode(key, value)).toEqual({ kind: 'garbage', why: expect.stringContaining(why) });
  });

  it('is told of in few words, however many it has', () => {
    const { why } = decode('store', `{"${'k'.repeat(1_000_000)}": 1}`) as Garbage;
    expect(why.length).toBeLessThan(400);
  });
});
