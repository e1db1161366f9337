import { describe, expect, it } from 'vitest';
import { vtepSchema } from '../../../src/config/fileSchema.js';
import { networkSchema, portSchema } from '../../../src/config/networkSchema.js';
import type { Mac } from '../../../src/model/mac.js';
import type { Network } from '../../../src/model/network.js';
import { merge } from '../../../src/overlay/merge.js';
import {
  emptyState,
  type RuntimeState,
  type SharedNetwork,
  withFdb,
  withPartsOf,
  withPeer,
  withPort,
} from '../../../src/store/runtimeState.js';

const vtep = vtepSchema.parse({ address: '10.200.0.1' });
const network = (name: string, vni: number, rest: object = {}) =>
  networkSchema.parse({ name, vni, ...rest });
const port = (name: string, rest: object = {}) => portSchema.parse({ name, ...rest });
const beside = (file: readonly Network[], runtime: RuntimeState, shared: SharedNetwork[] = []) =>
  merge(vtep, { file, shared, runtime });
const mac = '02:00:00:00:00:01' as Mac;

describe('additions', () => {
  it('come beside the networks of the file, and into them', () => {
    const b = network('b', 2, { peers: ['10.0.0.2'], ports: [{ name: 'pb' }] });
    let state = withPartsOf(emptyState, b);
    state = withPort(state, { network: 'a', port: port('pa2') });
    state = withPeer(state, { network: 'a', peer: { address: '10.0.0.3' } });
    state = withFdb(state, { network: 'a', entry: { mac, port: 'pa1' } });
    const shared = { network: network('b', 2), pools: [{ subnet: '10.9.0.0/24' }] };
    const merged = beside([network('a', 1, { ports: [{ name: 'pa1' }] })], state, [shared]);
    const { networks, skipped } = merged;
    expect([...merged.shared]).toEqual([['b', shared]]);
    expect(skipped).toEqual([]);
    expect(
      networks.map((n) => [n.name, n.ports.map((p) => p.name), n.peers.length, n.fdb.length]),
    ).toEqual([
      ['a', ['pa1', 'pa2'], 1, 1],
      ['b', ['pb'], 1, 0],
    ]);
  });

  it.each([
    ['name', network('a', 7)],
    ['VNI', network('z', 1)],
  ])('whose %s the file has now are left out and told', (_, addition) => {
    const shared = [{ network: addition, pools: [] }];
    const { networks, skipped } = beside([network('a', 1)], emptyState, shared);
    expect(networks.map((n) => [n.name, n.vni])).toEqual([['a', 1]]);
    expect(skipped).toEqual([
      { what: `network ${addition.name}`, why: expect.stringContaining('network a') },
    ]);
  });

  it('that lost their network are left out, and only they', () => {
    let state = withPort(emptyState, { network: 'gone', port: port('p') });
    state = withPort(state, { network: 'a', port: port('q') });
    const { networks, skipped } = beside([network('a', 1)], state);
    expect(networks[0]?.ports.map((p) => p.name)).toEqual(['q']);
    expect(skipped).toEqual([{ what: 'port p', why: 'it needs the network gone' }]);
  });

  it('that lean on what is left out are left out too', () => {
    let state = withPort(emptyState, { network: 'a', port: port('p') });
    state = withFdb(state, { network: 'a', entry: { mac, port: 'p' } });
    const file = [network('a', 1), network('b', 2, { ports: [{ name: 'p', ifname: 'other' }] })];
    expect(beside(file, state).skipped.map((skip) => skip.what)).toEqual([
      'port p',
      `FDB entry ${mac} of network a`,
    ]);
  });

  it('of another family than a changed VTEP are left out', () => {
    const six = vtepSchema.parse({ address: 'fd00::1' });
    const state = withPeer(emptyState, { network: 'a', peer: { address: '10.0.0.3' } });
    expect(
      merge(six, { file: [network('a', 1)], shared: [], runtime: state }).skipped.map(
        (skip) => skip.what,
      ),
    ).toEqual(['peer 10.0.0.3 of network a']);
  });
});

it('a misfit costs no more than what is there', () => {
  let reads = 0;
  const ports = Array.from({ length: 1000 }, (_, at) => {
    const row = { network: 'a', port: port(`p${at === 999 ? 0 : at}`, { ifname: `t${at}` }) };
    return new Proxy(row, {
      get: (target, key) => {
        reads += 1;
        return Reflect.get(target, key);
      },
    });
  });
  const { skipped } = beside([network('a', 1)], { ...emptyState, ports });
  expect(skipped.map((skip) => skip.what)).toEqual(['port p0']);
  expect(reads).toBeLessThan(10_000);
});
