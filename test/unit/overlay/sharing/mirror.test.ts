import { describe, expect, it } from 'vitest';
import { networkSchema } from '../../../../src/config/networkSchema.js';
import { Mirror } from '../../../../src/overlay/sharing/mirror.js';
import { encode, keys } from '../../../../src/store/records.js';
import type { Change } from '../../../../src/store/store.js';

let revision = 0;
const put = (key: string, value: string): Change => {
  revision += 1;
  return { key, entry: { value, revision: String(revision) } };
};
const endpoint = (network: string, id: string, host = '10.200.0.2') =>
  put(
    keys.endpoint(network, id),
    encode({ version: 1, host, mac: '02:00:00:00:00:01', addresses: [], aliases: [] }),
  );
const host = (vtep: string, port = 4789) =>
  put(keys.host(vtep), encode({ version: 1, name: 'h', port, machine: 'm', lease: 'l' }));
const network = (name: string, vni: number) =>
  put(
    keys.network(name),
    encode({
      ...{ version: 1, id: name, pools: [], owner: 'people' },
      network: networkSchema.parse({ name, vni }),
    }),
  );
const store = (id: string) => put(keys.store, encode({ version: 1, id }));

function mirrorOf(...changes: Change[]) {
  const clock = { now: 0 };
  const mirror = new Mirror({
    now: () => clock.now,
    defaultPort: 4800,
    onGarbage: () => {},
    onItem: () => {},
  });
  mirror.apply(changes);
  return { mirror, clock };
}

describe('the state', () => {
  it('shares with the one before what did not change', () => {
    const { mirror } = mirrorOf(network('a', 256), endpoint('a', '1'), endpoint('b', '1'));
    const before = mirror.state;
    mirror.apply([endpoint('b', '2')]);
    const after = mirror.state;
    expect(after).not.toBe(before);
    expect(after.networks).toBe(before.networks);
    expect(after.endpoints.get('a')).toBe(before.endpoints.get('a'));
    expect([before.endpoints.get('b')?.size, after.endpoints.get('b')?.size]).toEqual([1, 2]);
  });

  it('is the same object when nothing has changed', () => {
    const { mirror } = mirrorOf(network('a', 256), host('10.200.0.2'), endpoint('a', '1'));
    const before = mirror.state;
    const value = mirror.text('networks/a') ?? '';
    mirror.apply([put('networks/a', value), put('nonsense', 'x')]);
    expect(mirror.state).toBe(before);
  });

  it('forgets a network’s table with its last record', () => {
    const { mirror } = mirrorOf(endpoint('a', '1'));
    mirror.apply([{ key: keys.endpoint('a', '1') }, { key: 'never/there' }]);
    expect([...mirror.state.endpoints]).toEqual([]);
  });

  it('knows a lost host by what it was, or by what it left', () => {
    const { mirror, clock } = mirrorOf(host('10.200.0.2', 4790), endpoint('a', '1'));
    mirror.apply([endpoint('a', '2', '10.200.0.3'), { key: keys.host('10.200.0.2') }]);
    expect(mirror.state.hosts.size).toBe(2);
    clock.now = 60_000;
    expect([...mirror.state.hosts.values()]).toEqual([
      { address: '10.200.0.2', port: 4790, name: 'h', state: 'lost', heard: true },
      { address: '10.200.0.3', port: 4800, name: '10.200.0.3', state: 'lost', heard: true },
    ]);
    expect([...mirror.lost()]).toEqual([
      ['10.200.0.2', 60_000],
      ['10.200.0.3', 60_000],
    ]);
    mirror.apply([{ key: keys.endpoint('a', '1') }, host('10.200.0.3')]);
    expect([...mirror.state.hosts.values()]).toMatchObject([
      { address: '10.200.0.3', state: 'live' },
    ]);
  });
});

describe('a store that has lost its contents', () => {
  const start = () =>
    mirrorOf(store('one'), network('a', 256), host('10.200.0.2'), endpoint('a', '1')).mirror;
  const empty = (mirror: Mirror) => mirror.install({ revision: '1', entries: new Map() });

  it('is held to what it had, until that is given up', () => {
    const mirror = start();
    const before = mirror.state;
    empty(mirror);
    expect(mirror.state).toBe(before);
    expect(mirror.held()).toHaveLength(4);
    expect(mirror.has('networks/a')).toBe(true);
    expect(mirror.unchanged('networks/a')).toEqual({ key: 'networks/a', absent: true });
    mirror.release();
    expect(mirror.state.networks.size + mirror.state.hosts.size).toBe(0);
    expect(mirror.heldSince).toBeUndefined();
  });

  it('may be another one that has something else', () => {
    const mirror = start();
    const entries = new Map(
      [store('two'), network('b', 257)].map(({ key, entry }) => [key, entry!]),
    );
    mirror.install({ revision: '7', entries });
    expect([...mirror.state.networks.keys()]).toEqual(['a', 'b']);
    expect(mirror.held().map(({ kind }) => kind)).toEqual(['network', 'host', 'endpoint']);
  });

  it('holds nothing that came back and went again', () => {
    const mirror = start();
    empty(mirror);
    mirror.apply([store('two'), network('a', 256)]);
    mirror.apply([{ key: 'networks/a' }]);
    expect(mirror.state.networks.size).toBe(0);
    expect(mirror.state.endpoints.size).toBe(1);
  });

  it('is none when it only lost some of it', () => {
    const mirror = start();
    mirror.apply([{ key: 'networks/a' }, { key: keys.endpoint('a', '1') }]);
    expect(mirror.held()).toEqual([]);
    expect(mirror.state.networks.size).toBe(0);
  });
});
