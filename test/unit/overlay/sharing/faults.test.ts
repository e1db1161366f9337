import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { endpoint, type SharedHostRun, SharedHosts, wish } from '../../../support/sharedHosts.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

let hosts: SharedHosts;
let a: SharedHostRun;
let b: SharedHostRun;

beforeEach(async () => {
  hosts = new SharedHosts();
  a = await hosts.start(1);
  b = await hosts.start(2);
  const pools = [{ subnet: '10.0.0.0/24' }];
  await during(a.sharing.createNetwork(wish('n', { pools })));
  await hosts.clock.settle();
});
afterEach(() => hosts.stopAll());

const during = <T>(work: Promise<T>) => hosts.clock.during(work);
const advance = (ms: number) => hosts.clock.advance(ms);
const announce = async (run: SharedHostRun, ...addresses: string[]) => {
  run.sharing.announce(addresses.map((address) => endpoint('n', `e-${address}`, address)));
  await advance(50);
};
const codeOf = (work: Promise<unknown>) =>
  during(
    work.then(
      () => 'done',
      (error) => error.code,
    ),
  );
const stateOf = (run: SharedHostRun, vtep: string) => run.sharing.state.hosts.get(vtep)?.state;
const endpoints = () => hosts.cluster.keys('endpoints/');

describe('what a host knows', () => {
  it('is as old as the last sign of the store', async () => {
    await announce(b, '10.0.0.7/24');
    expect(a.sharing.health.age).toBeLessThan(SECOND);
    await advance(30 * SECOND);
    expect(a.sharing.health.age).toBeGreaterThanOrEqual(30 * SECOND);
    await announce(b, '10.0.0.8/24');
    expect(a.sharing.health.age).toBeLessThan(SECOND);
  });
});

describe('a host', () => {
  it('stays as long as its lease is renewed', async () => {
    await advance(10 * 60 * SECOND);
    expect([stateOf(a, b.vtep), stateOf(b, a.vtep)]).toEqual(['live', 'live']);
    expect(hosts.cluster.value('hosts/10.200.0.1')).toMatchObject({ lease: 'lease-1' });
  });

  it('that died goes when its lease ends, if it left nothing', async () => {
    await hosts.kill(b);
    await advance(20 * SECOND);
    expect([...a.sharing.state.hosts.keys()]).toEqual([a.vtep]);
  });

  it('that died and left something is lost, unheard after 10 minutes, and forgotten after a day', async () => {
    await announce(b, '10.0.0.7/24');
    await during(b.sharing.reserve('n', { family: 4, address: '10.0.0.8', use: 'endpoint' }));
    await during(b.sharing.enter('n', 'x'));
    await hosts.kill(b);
    await advance(20 * SECOND);
    const lost = { address: b.vtep, port: 4789, name: 'h2', state: 'lost' };
    expect(a.sharing.state.hosts.get(b.vtep)).toEqual({ ...lost, heard: true });
    let told = 0;
    a.sharing.onChange(() => {
      told += 1;
    });
    await advance(10 * 60 * SECOND);
    expect(a.sharing.state.hosts.get(b.vtep)).toEqual({ ...lost, heard: false });
    expect(told).toBe(1);
    await advance(25 * HOUR);
    expect(a.sharing.state.hosts.has(b.vtep)).toBe(false);
    expect(hosts.cluster.keys()).toEqual([
      ...['hosts/10.200.0.1', 'networks/n', 'store', 'vnis/256'],
    ]);
  }, 60_000);

  it('that is restarted takes its lease up again, and its endpoints stay', async () => {
    await announce(b, '10.0.0.7/24');
    const before = hosts.cluster.revision;
    await hosts.kill(b);
    await advance(5 * SECOND);
    const again = await hosts.start(2);
    await announce(again, '10.0.0.7/24');
    await advance(30 * SECOND);
    expect(hosts.cluster.revision).toBe(before);
    expect(stateOf(a, again.vtep)).toBe('live');
  });

  it('whose lease ended meanwhile gets another', async () => {
    await hosts.kill(b);
    await advance(60 * SECOND);
    const again = await hosts.start(2);
    expect(stateOf(a, again.vtep)).toBe('live');
    expect(hosts.cluster.value('hosts/10.200.0.2')).toMatchObject({ lease: 'lease-3' });
  });

  it('that somebody removed by hand is back at once', async () => {
    hosts.cluster.delete('hosts/10.200.0.2');
    await advance(100);
    expect(stateOf(a, b.vtep)).toBe('live');
  });

  it('[O248] with the VTEP address of another machine shares nothing while that one is alive', async () => {
    await announce(b, '10.0.0.7/24');
    const twin = await hosts.start(2, { machine: 'twin' });
    twin.sharing.announce([endpoint('n', 'other', '10.0.0.9/24')]);
    await advance(60 * SECOND);
    expect(endpoints()).toEqual(['endpoints/n/e-10.0.0.7/24']);
    expect(hosts.cluster.value('hosts/10.200.0.2')).toMatchObject({ machine: 'machine-2' });
    expect(twin.sharing.health.conflicts).toEqual([
      'host h2 has our VTEP address 10.200.0.2: nothing of ours is shared',
    ]);
    expect(await codeOf(twin.sharing.createNetwork(wish('m')))).toBe('STORE_REFUSED');
    expect(twin.lines.filter((line) => line.includes('another machine'))).toHaveLength(1);
    await during(twin.sharing.withdraw());
    expect(endpoints()).toEqual(['endpoints/n/e-10.0.0.7/24']);
    twin.sharing.announce([endpoint('n', 'other', '10.0.0.9/24')]);
    await hosts.kill(b);
    await advance(30 * SECOND);
    expect(hosts.cluster.value('hosts/10.200.0.2')).toMatchObject({ machine: 'twin' });
    expect(endpoints()).toEqual(['endpoints/n/other']);
    expect(twin.sharing.health.conflicts).toEqual([]);
  });

  it('is forgotten when people say so, and only when it is lost', async () => {
    await announce(b, ...Array.from({ length: 40 }, (_, at) => `10.0.0.${at + 1}/24`));
    expect(await codeOf(a.sharing.forgetHost(b.vtep))).toBe('HOST_ALIVE');
    expect(await codeOf(a.sharing.forgetHost('10.200.0.9'))).toBe('HOST_UNKNOWN');
    await hosts.kill(b);
    await advance(20 * SECOND);
    expect(endpoints()).toHaveLength(40);
    expect(await codeOf(a.sharing.forgetHost(b.vtep))).toBe('done');
    expect([...endpoints(), ...hosts.cluster.keys('addresses/')]).toEqual([]);
    expect(a.sharing.state.hosts.has(b.vtep)).toBe(false);
  });

  it('that withdraws leaves nothing, until it shares again', async () => {
    await announce(b, '10.0.0.7/24');
    await during(b.sharing.enter('n', 'x'));
    await during(b.sharing.reserve('n', { family: 4, address: '10.0.0.8', use: 'endpoint' }));
    await during(b.sharing.withdraw());
    await advance(60 * SECOND);
    expect(hosts.cluster.keys()).toEqual([
      ...['hosts/10.200.0.1', 'networks/n', 'store', 'vnis/256'],
    ]);
    await announce(b, '10.0.0.7/24');
    expect(stateOf(a, b.vtep)).toBe('live');
    expect(endpoints()).toHaveLength(1);
  });
});

describe('a store that is away', () => {
  it('[O246] leaves everything as it was, is told once, and gets what happened meanwhile', async () => {
    await announce(a, '10.0.0.1/24');
    const before = b.sharing.state;
    b.store.set({ down: true });
    await advance(60 * SECOND);
    expect(b.sharing.state).toBe(before);
    expect(b.sharing.health).toMatchObject({
      state: 'degraded',
      detail: expect.stringContaining('cannot reach the store memory'),
    });
    expect(b.lines.filter((line) => line.includes('"degraded"'))).toHaveLength(1);
    b.sharing.announce([endpoint('n', 'new', '10.0.0.2/24')]);
    await announce(a);
    b.store.set({ down: false });
    await advance(6 * SECOND);
    expect(endpoints()).toEqual(['endpoints/n/new']);
    expect(b.sharing.health.state).toBe('connected');
    expect(b.sharing.state).toEqual(a.sharing.state);
    expect(stateOf(a, b.vtep)).toBe('live');
  });

  it('at the start does not keep the host from starting', async () => {
    const c = hosts.prepare(3);
    c.store.set({ hangs: true });
    await during(c.sharing.start());
    expect(c.sharing.health).toMatchObject({ state: 'connecting', detail: expect.any(String) });
    expect(await codeOf(c.sharing.createNetwork(wish('m')))).toBe('STORE_DOWN');
    c.store.set({ hangs: false });
    await advance(10 * SECOND);
    expect(c.sharing.health.state).toBe('connected');
    expect(c.sharing.state).toEqual(a.sharing.state);
  });

  it('is answered for within 4 seconds, whatever is asked', async () => {
    await advance(10 * SECOND);
    b.store.set({ hangs: true });
    const began = hosts.clock.now();
    const codes = await during(
      Promise.all(
        [
          b.sharing.createNetwork(wish('m')),
          b.sharing.joinNetwork(wish('m')),
          b.sharing.removeNetwork('n'),
          b.sharing.enter('n', 'x'),
          b.sharing.reserve('n', { family: 4, use: 'endpoint' }),
          b.sharing.release('n', '10.0.0.1'),
          b.sharing.forgetHost('10.200.0.1').catch((error) => {
            if (error.code !== 'HOST_ALIVE') throw error;
          }),
        ].map((work) =>
          work.then(
            () => 'done',
            (error) => error.code,
          ),
        ),
      ),
    );
    expect(hosts.clock.now() - began).toBeLessThan(4 * SECOND);
    expect(new Set(codes)).toEqual(new Set(['STORE_DOWN']));
  });

  it('that is slow still serves', async () => {
    b.store.set({ latency: SECOND });
    await during(b.sharing.createNetwork(wish('slow')));
    const pools = wish('m', { pools: [{ subnet: '10.5.0.0/24' }] });
    await during(b.sharing.createNetwork(pools));
    const address = await during(b.sharing.reserve('m', { family: 4, use: 'endpoint' }));
    expect(address).toBe('10.5.0.1/24');
    expect([...b.sharing.state.networks.keys()]).toEqual(['n', 'slow', 'm']);
  });

  it('is asked less and less often', async () => {
    b.store.set({ down: true });
    await advance(10 * SECOND);
    const before = b.store.snapshots;
    await advance(100 * SECOND);
    expect(b.store.snapshots - before).toBeLessThan(45);
    expect(b.store.snapshots - before).toBeGreaterThan(15);
  });
});

describe('a watch', () => {
  it('that is lost or too old begins anew without a gap', async () => {
    b.store.set({ down: true });
    await announce(a, '10.0.0.1/24');
    hosts.cluster.compact();
    b.store.set({ down: false });
    await advance(10 * SECOND);
    hosts.cluster.compact();
    await announce(a, '10.0.0.2/24');
    b.store.disconnect();
    await announce(a, '10.0.0.3/24');
    await advance(SECOND);
    expect([...(b.sharing.state.endpoints.get('n')?.keys() ?? [])]).toEqual(['e-10.0.0.3/24']);
    expect(b.sharing.health.state).toBe('connected');
  });
});

describe('an answer that is lost', () => {
  it.each([
    ['createNetwork', () => a.sharing.createNetwork(wish('m')), ['networks/m', 'vnis/257']],
    ['enter', () => a.sharing.enter('n', 'x'), ['members/n/10.200.0.1']],
    [
      'reserve',
      () => a.sharing.reserve('n', { family: 4, use: 'endpoint' }),
      ['addresses/n/10.0.0.1'],
    ],
  ])('of %s is no failure, and nothing is there twice', async (_, work, keys) => {
    const before = new Set(hosts.cluster.keys());
    a.store.set({ lostAnswers: 1 });
    await during<unknown>(work());
    const added = hosts.cluster.keys().filter((key) => !before.has(key));
    expect(added.filter((key) => !key.startsWith('subnets/'))).toEqual(keys);
  });

  it('of an announcement is no failure', async () => {
    a.store.set({ lostAnswers: 3 });
    await announce(a, '10.0.0.1/24', '10.0.0.2/24');
    await advance(5 * SECOND);
    expect(endpoints()).toHaveLength(2);
    a.store.set({ lostAnswers: 3 });
    await announce(a);
    await advance(5 * SECOND);
    expect([...endpoints(), ...hosts.cluster.keys('addresses/')]).toEqual([]);
  });
});

describe('garbage', () => {
  it('is told once, left alone, and hides nothing', async () => {
    const garbage = ['endpoints/n/x', 'networks/m', 'vnis/300', 'what/is/this', 'hosts/10.200.0.9'];
    for (const key of garbage) hosts.cluster.put(key, '{"version": 1}');
    await announce(a, '10.0.0.1/24');
    expect(b.sharing.health.garbage.map(({ key }) => key)).toEqual(garbage);
    expect([...(b.sharing.state.endpoints.get('n')?.keys() ?? [])]).toEqual(['e-10.0.0.1/24']);
    b.store.disconnect();
    await advance(10 * SECOND);
    expect(b.lines.filter((line) => line.includes('garbage'))).toHaveLength(garbage.length);
    for (const key of garbage) expect(hosts.cluster.keys()).toContain(key);
    expect(await codeOf(b.sharing.createNetwork(wish('m')))).toBe('NETWORK_EXISTS');
    expect(await codeOf(b.sharing.createNetwork(wish('k', { vni: 300 })))).toBe('VNI_TAKEN');
    hosts.cluster.delete(...garbage);
    await advance(50);
    expect(b.sharing.health.garbage).toEqual([]);
  });

  it('that is always another is told once too', async () => {
    for (let at = 0; at < 5; at++) hosts.cluster.put('hosts/10.200.0.9', `"${at}"`);
    await advance(50);
    expect(a.lines.filter((line) => line.includes('garbage'))).toHaveLength(1);
  });

  it('is not what a container’s own names make of its record', async () => {
    await during(a.sharing.createNetwork(wish('m')));
    const aliases = ['www', 'a b', '', 'x'.repeat(256)];
    a.sharing.announce([endpoint('m', 'e', '10.0.0.9/24', { name: 'x\ny', aliases })]);
    await advance(50);
    expect(b.sharing.health.garbage).toEqual([]);
    expect(b.sharing.state.endpoints.get('m')?.get('e')).toMatchObject({ aliases: ['www'] });
    expect(b.sharing.state.endpoints.get('m')?.get('e')).not.toHaveProperty('name');
  });

  it('in great amounts is told of 100 keys', async () => {
    for (let at = 0; at < 300; at++) hosts.cluster.put(`endpoints/n/g${at}`, 'x');
    await advance(50);
    expect(a.sharing.health.garbage).toHaveLength(100);
    expect(a.lines.filter((line) => line.includes('garbage'))).toHaveLength(100);
  });

  it('in the place of an endpoint is a conflict', async () => {
    hosts.cluster.put('endpoints/n/e-10.0.0.1/24', 'x');
    await announce(a, '10.0.0.1/24');
    expect(a.sharing.health.conflicts).toEqual([
      'e-10.0.0.1/24 in network n: the store has something else in its place',
    ]);
    hosts.cluster.delete('endpoints/n/e-10.0.0.1/24');
    await advance(50);
    expect(a.sharing.health.conflicts).toEqual([]);
    expect(endpoints()).toHaveLength(1);
  });
});

describe('a store that comes back empty', () => {
  const emptied = async () => {
    hosts.cluster.empty();
    for (const run of hosts.runs) run.store.disconnect();
  };
  const withoutIds = () =>
    hosts.cluster.keys().map((key) => [key, key.startsWith('hosts/') || hosts.cluster.value(key)]);

  beforeEach(async () => {
    await during(b.sharing.createNetwork(wish('auto')));
    await during(b.sharing.enter('auto', 'x'));
    await during(a.sharing.reserve('n', { family: 4, use: 'gateway' }));
    await during(a.sharing.reserve('n', { family: 4, address: '10.0.0.50', use: 'endpoint' }));
    await announce(a, '10.0.0.7/24');
    await announce(b, '10.0.0.8/24');
  });

  it('[O247] is given everything back, and nothing is withdrawn meanwhile', async () => {
    const before = withoutIds().filter(([key]) => key !== 'store');
    const seen: number[] = [];
    a.sharing.onChange(() => {
      const { networks, hosts: known, endpoints: all } = a.sharing.state;
      seen.push(networks.size + known.size + (all.get('n')?.size ?? 0));
    });
    await emptied();
    await advance(5 * SECOND);
    expect(withoutIds().filter(([key]) => key !== 'store')).toEqual(before);
    expect(seen.every((count) => count === 6)).toBe(true);
    expect(seen.length).toBeGreaterThan(0);
    expect(a.sharing.health.state).toBe('connected');
    await advance(100 * SECOND);
    expect(withoutIds().filter(([key]) => key !== 'store')).toEqual(before);
  });

  it('[O247] also when it is emptied while all watch it', async () => {
    hosts.cluster.delete(...hosts.cluster.keys());
    await advance(5 * SECOND);
    expect(endpoints()).toHaveLength(2);
    expect(a.sharing.state).toEqual(b.sharing.state);
  });

  it('is believed after a minute in what nobody brings back', async () => {
    await hosts.kill(b);
    await emptied();
    await advance(5 * SECOND);
    expect(a.sharing.health).toMatchObject({
      state: 'degraded',
      detail: 'it has lost its contents; what was known holds for now',
    });
    expect(stateOf(a, b.vtep)).toBe('live');
    expect(a.sharing.state.endpoints.get('n')?.size).toBe(2);
    await advance(60 * SECOND);
    expect(a.sharing.health.state).toBe('connected');
    expect(a.sharing.state.hosts.has(b.vtep)).toBe(false);
    expect([...(a.sharing.state.endpoints.get('n')?.keys() ?? [])]).toEqual(['e-10.0.0.7/24']);
    expect([...a.sharing.state.networks.keys()].sort()).toEqual(['auto', 'n']);
  });

  it('gives nothing away that is held', async () => {
    b.store.set({ down: true });
    await emptied();
    await advance(100);
    const wanted = { family: 4, address: '10.0.0.8', use: 'endpoint' } as const;
    expect(await codeOf(a.sharing.reserve('n', wanted))).toBe('ADDRESS_TAKEN');
    expect(await codeOf(a.sharing.createNetwork(wish('other', { vni: 257 })))).toBe('VNI_TAKEN');
    b.store.set({ down: false });
    await advance(10 * SECOND);
    expect(endpoints()).toHaveLength(2);
  });

  it('leaves a VNI to who took it meanwhile, and gives the network another', async () => {
    for (const run of hosts.runs) run.store.set({ down: true });
    hosts.cluster.empty();
    const c = await hosts.start(3);
    expect((await during(c.sharing.createNetwork(wish('first')))).network.vni).toBe(256);
    for (const run of hosts.runs) run.store.set({ down: false });
    await advance(10 * SECOND);
    const vnis = [...c.sharing.state.networks].map(([name, { network }]) => [name, network.vni]);
    expect(new Map(vnis as [string, number][])).toEqual(
      new Map([
        ['first', 256],
        ['auto', 257],
        ['n', 258],
      ]),
    );
    expect(c.sharing.state.endpoints.get('n')?.size).toBe(2);
    const said = 'network n: another has its VNI 256 by now; it gets 258';
    expect(a.lines.some((line) => line.includes(said))).toBe(true);
    expect(a.sharing.health).toMatchObject({ state: 'connected', conflicts: [] });
    expect(a.sharing.state).toEqual(b.sharing.state);
  });

  it('lets who joins a network wait until that is back', async () => {
    hosts.cluster.delete(...hosts.cluster.keys());
    await hosts.clock.settle();
    const joined = await during(b.sharing.joinNetwork(wish('n', { vni: 256 })));
    expect(joined.network.vni).toBe(256);
    expect(await during(b.sharing.reserve('n', { family: 4, use: 'endpoint' }))).toMatch(/^10\.0/);
  });
});
