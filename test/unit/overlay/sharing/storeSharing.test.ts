import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endpoint, type SharedHostRun, SharedHosts, wish } from '../../../support/sharedHosts.js';

let hosts: SharedHosts;
let a: SharedHostRun;
let b: SharedHostRun;

beforeEach(async () => {
  hosts = new SharedHosts();
  a = await hosts.start(1);
  b = await hosts.start(2);
});
afterEach(() => hosts.stopAll());

const during = <T>(work: Promise<T>) => hosts.clock.during(work);

describe('hosts', () => {
  it('know each other', () => {
    for (const { sharing } of [a, b]) {
      expect([...sharing.state.hosts.values()]).toEqual([
        { address: '10.200.0.1', port: 4789, name: 'h1', state: 'live', heard: true },
        { address: '10.200.0.2', port: 4789, name: 'h2', state: 'live', heard: true },
      ]);
      expect(sharing.health).toMatchObject({ state: 'connected', garbage: [], conflicts: [] });
    }
  });
});

describe('networks', () => {
  it('appear on all hosts, with VNIs from 256 and subnets of their own', async () => {
    const one = await during(a.sharing.createNetwork(wish('net1')));
    const two = await during(b.sharing.createNetwork(wish('net2')));
    await hosts.clock.advance(50);
    expect([one.network.vni, two.network.vni]).toEqual([256, 257]);
    expect([one.pools, two.pools]).toEqual([
      [{ subnet: '10.112.0.0/24' }],
      [{ subnet: '10.112.1.0/24' }],
    ]);
    expect(a.sharing.state.networks).toEqual(b.sharing.state.networks);
    expect([...a.sharing.state.networks.keys()]).toEqual(['net1', 'net2']);
  });
});

describe('endpoints', () => {
  it('take their addresses and appear on all hosts', async () => {
    await during(a.sharing.createNetwork(wish('n')));
    const address = await during(a.sharing.reserve('n', { family: 4, use: 'endpoint' }));
    expect(address).toBe('10.112.0.1/24');
    a.sharing.announce([endpoint('n', 'e1', address)]);
    await hosts.clock.advance(50);
    expect(b.sharing.state.endpoints.get('n')?.get('e1')).toMatchObject({
      host: '10.200.0.1',
      addresses: ['10.112.0.1/24'],
    });
    a.sharing.announce([]);
    await hosts.clock.advance(50);
    expect(hosts.cluster.keys('endpoints/')).toEqual([]);
    expect(hosts.cluster.keys('addresses/')).toEqual([]);
  });
});
