import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AddressWish } from '../../../../src/overlay/shared.js';
import { endpoint, type SharedHostRun, SharedHosts, wish } from '../../../support/sharedHosts.js';

let hosts: SharedHosts;
let a: SharedHostRun;
let b: SharedHostRun;

beforeEach(async () => {
  hosts = new SharedHosts();
  a = await hosts.start(1);
  b = await hosts.start(2);
  const pools = [{ subnet: '10.0.0.0/24', gateway: '10.0.0.1' }, { subnet: 'fd00::/64' }];
  await hosts.clock.during(a.sharing.createNetwork(wish('n', { pools })));
  await hosts.clock.settle();
});
afterEach(() => hosts.stopAll());

const during = <T>(work: Promise<T>) => hosts.clock.during(work);
const reserve = (run: SharedHostRun, more: Partial<AddressWish> = {}) =>
  during(run.sharing.reserve('n', { family: 4, use: 'endpoint', ...more }));
const refused = (run: SharedHostRun, more: Partial<AddressWish>) =>
  reserve(run, more).then(
    (address) => address,
    (error) => error.code,
  );
const taken = () => hosts.cluster.keys('addresses/').map((key) => key.replace('addresses/n/', ''));
const announce = async (run: SharedHostRun, ...addresses: string[]) => {
  run.sharing.announce(addresses.map((address) => endpoint('n', `e-${address}`, address)));
  await hosts.clock.advance(50);
};

describe('an address', () => {
  it('is the next one, and one that was given back rests', async () => {
    expect([await reserve(a), await reserve(b), await reserve(a)]).toEqual([
      ...['10.0.0.2/24', '10.0.0.3/24', '10.0.0.4/24'],
    ]);
    await during(a.sharing.release('n', '10.0.0.4'));
    expect([await reserve(a), await reserve(b)]).toEqual(['10.0.0.5/24', '10.0.0.6/24']);
    expect(await reserve(b, { family: 6 })).toBe('fd00::1/64');
    expect(await reserve(b)).toBe('10.0.0.7/24');
  });

  it('is another one for each of many hosts that ask at once', async () => {
    const random = (seed: number) => () => (seed * 0.37) % 1;
    const more = await Promise.all(
      Array.from({ length: 8 }, (_, at) => hosts.prepare(at + 3, { random: random(at) })).map(
        async (run) => {
          await during(run.sharing.start());
          return run;
        },
      ),
    );
    const given = await during(
      Promise.all(
        [a, b, ...more].map(({ sharing }) => sharing.reserve('n', { family: 4, use: 'endpoint' })),
      ),
    );
    expect(new Set(given).size).toBe(10);
    expect(taken()).toHaveLength(10);
  });

  it('that is named is given when it is free, and again to the same host', async () => {
    expect(await reserve(a, { address: '10.0.0.77' })).toBe('10.0.0.77/24');
    expect(await reserve(a, { address: '10.0.0.77' })).toBe('10.0.0.77/24');
    expect(await refused(b, { address: '10.0.0.77' })).toBe('ADDRESS_TAKEN');
    await announce(a, '10.0.0.77/24');
    expect(await refused(a, { address: '10.0.0.77' })).toBe('ADDRESS_TAKEN');
    await announce(a);
    expect(await refused(b, { address: '10.0.0.77' })).toBe('10.0.0.77/24');
  });

  it.each([
    ['10.0.0.0', 'ADDRESS_OUTSIDE'],
    ['10.0.0.255', 'ADDRESS_OUTSIDE'],
    ['10.0.1.1', 'ADDRESS_OUTSIDE'],
    ['10.0.0.254', '10.0.0.254/24'],
  ])('%s of 10.0.0.0/24: %s', async (address, outcome) => {
    expect(await refused(a, { address })).toBe(outcome);
  });

  it('is refused where there is none', async () => {
    const pools = [{ subnet: '10.7.0.0/30' }];
    await during(a.sharing.createNetwork(wish('tiny', { pools })));
    const next = () => during(a.sharing.reserve('tiny', { family: 4, use: 'endpoint' }));
    expect([await next(), await next()]).toEqual(['10.7.0.1/30', '10.7.0.2/30']);
    await expect(next()).rejects.toMatchObject({ code: 'NO_FREE_ADDRESS' });
    const six = a.sharing.reserve('tiny', { family: 6, use: 'endpoint' });
    await expect(during(six)).rejects.toMatchObject({ code: 'NO_POOL' });
    const nowhere = a.sharing.reserve('none', { family: 4, use: 'endpoint' });
    await expect(during(nowhere)).rejects.toMatchObject({ code: 'NETWORK_UNKNOWN' });
  });

  it('of another host is not given back', async () => {
    await reserve(a, { address: '10.0.0.9' });
    await during(b.sharing.release('n', '10.0.0.9'));
    await during(b.sharing.release('n', '10.0.0.10'));
    await during(b.sharing.release('none', '10.0.0.10'));
    expect(taken()).toEqual(['10.0.0.9']);
  });

  it('that an endpoint has is not given back', async () => {
    await announce(a, '10.0.0.9/24');
    await during(a.sharing.release('n', '10.0.0.9'));
    expect(taken()).toEqual(['10.0.0.9']);
  });

  it('under garbage is not given', async () => {
    hosts.cluster.put('addresses/n/10.0.0.2', 'garbage');
    await hosts.clock.settle();
    expect(await reserve(a)).toBe('10.0.0.3/24');
    expect(await refused(a, { address: '10.0.0.2' })).toBe('ADDRESS_TAKEN');
    expect(taken()).toEqual(['10.0.0.2', '10.0.0.3']);
  });
});

describe('a gateway', () => {
  it('is the same for every host, and stays', async () => {
    const wanted = { use: 'gateway' } as const;
    expect(await reserve(a, wanted)).toBe('10.0.0.1/24');
    expect(await reserve(b, wanted)).toBe('10.0.0.1/24');
    expect(await reserve(b, { ...wanted, address: '10.0.0.1' })).toBe('10.0.0.1/24');
    expect(await refused(b, { ...wanted, address: '10.0.0.9' })).toBe('ADDRESS_TAKEN');
    expect(await refused(b, { address: '10.0.0.1' })).toBe('ADDRESS_TAKEN');
    await during(a.sharing.release('n', '10.0.0.1'));
    await hosts.clock.advance(200_000);
    expect(taken()).toEqual(['10.0.0.1']);
  });

  it('is the first address unless the network names it, or the one that was asked for first', async () => {
    expect(await reserve(a, { family: 6, use: 'gateway' })).toBe('fd00::1/64');
    const pools = [{ subnet: '10.7.0.0/24' }];
    await during(a.sharing.createNetwork(wish('m', { pools })));
    const ask = (run: SharedHostRun, address?: string) =>
      during(run.sharing.reserve('m', { family: 4, use: 'gateway', address }));
    expect(await ask(a, '10.7.0.254')).toBe('10.7.0.254/24');
    expect(await ask(b)).toBe('10.7.0.254/24');
  });

  it('may be an endpoint where nobody has asked for a gateway', async () => {
    await announce(a, '10.0.0.1/24');
    expect(taken()).toEqual(['10.0.0.1']);
    expect(await refused(b, { use: 'gateway' })).toBe('ADDRESS_TAKEN');
  });
});

it('a reserved address is the network’s, not an endpoint’s', async () => {
  expect(await reserve(a, { use: 'reserved', address: '10.0.0.2' })).toBe('10.0.0.2/24');
  expect(await reserve(b, { use: 'reserved', address: '10.0.0.2' })).toBe('10.0.0.2/24');
  expect(await refused(b, { address: '10.0.0.2' })).toBe('ADDRESS_TAKEN');
  expect(await refused(a, { address: '10.0.0.2' })).toBe('ADDRESS_TAKEN');
});

describe('what nobody uses', () => {
  it('goes back after a minute, unless it was asked for by name', async () => {
    await announce(a);
    await reserve(a);
    await reserve(a, { address: '10.0.0.50' });
    await hosts.clock.advance(55_000);
    expect(taken()).toEqual(['10.0.0.2', '10.0.0.50']);
    await hosts.clock.advance(90_000);
    expect(taken()).toEqual(['10.0.0.50']);
    await during(a.sharing.release('n', '10.0.0.50'));
    expect(taken()).toEqual([]);
  });

  it('goes back with its endpoint', async () => {
    await announce(a, '10.0.0.5/24', '10.0.0.6/24');
    await announce(a, '10.0.0.6/24');
    expect(taken()).toEqual(['10.0.0.6']);
  });

  it('stays when it was reserved again before its endpoint went', async () => {
    await announce(a, '10.0.0.5/24');
    a.sharing.announce([]);
    expect(await reserve(a, { address: '10.0.0.5' })).toBe('10.0.0.5/24');
    await hosts.clock.advance(100_000);
    expect(hosts.cluster.keys('endpoints/')).toEqual([]);
    expect(taken()).toEqual(['10.0.0.5']);
  });

  it('of an earlier run goes as soon as the endpoints are announced, but not before', async () => {
    await announce(a, '10.0.0.5/24');
    await reserve(a, { address: '10.0.0.6' });
    await hosts.kill(a);
    const again = await hosts.start(1);
    await reserve(again, { address: '10.0.0.7' });
    await hosts.clock.advance(100_000);
    expect(taken()).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.7']);
    await announce(again, '10.0.0.5/24');
    expect(taken()).toEqual(['10.0.0.5', '10.0.0.7']);
  });
});

describe('the address of a lost host', () => {
  beforeEach(async () => {
    await announce(b, '10.0.0.9/24');
    await reserve(b, { use: 'gateway' });
    await hosts.kill(b);
  });

  it('is kept for it while it may be alive', async () => {
    await hosts.clock.advance(5_000);
    expect(await refused(a, { address: '10.0.0.9' })).toBe('ADDRESS_TAKEN');
  });

  it('is given to who names it, and the endpoint is no more', async () => {
    await hosts.clock.advance(20_000);
    expect(a.sharing.state.hosts.get(b.vtep)?.state).toBe('lost');
    expect(await reserve(a, { address: '10.0.0.9' })).toBe('10.0.0.9/24');
    expect(hosts.cluster.keys('endpoints/')).toEqual([]);
    expect(await refused(a, { address: '10.0.0.1' })).toBe('ADDRESS_TAKEN');
    await hosts.clock.advance(50);
    expect(a.sharing.state.hosts.has(b.vtep)).toBe(false);
  });

  it('is not announced again by that host when another has it', async () => {
    await hosts.clock.advance(20_000);
    await announce(a, '10.0.0.9/24');
    const again = await hosts.start(2);
    await announce(again, '10.0.0.9/24');
    expect(hosts.cluster.value('addresses/n/10.0.0.9')).toMatchObject({ host: a.vtep });
    expect(again.sharing.health.conflicts).toEqual([
      'e-10.0.0.9/24 in network n: 10.0.0.9: host h1 (10.200.0.1) has it',
    ]);
    await announce(a);
    await hosts.clock.advance(50);
    expect(again.sharing.health.conflicts).toEqual([]);
    expect(hosts.cluster.value('addresses/n/10.0.0.9')).toMatchObject({ host: b.vtep });
  });
});
