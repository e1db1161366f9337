import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keys } from '../../../../src/store/records.js';
import { TRANSACTION_MAX } from '../../../../src/store/store.js';
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
const codeOf = (work: Promise<unknown>) =>
  during(
    work.then(
      () => 'done',
      (error) => error.code,
    ),
  );
const names = (run: SharedHostRun) => [...run.sharing.state.networks.keys()];
const vniOf = async (run: SharedHostRun, name: string, vni?: number) =>
  (await during(run.sharing.createNetwork(wish(name, vni === undefined ? {} : { vni })))).network
    .vni;

describe('a network that is created', () => {
  it('is on all hosts, with a VNI from 256 and a subnet of its own', async () => {
    const one = await during(a.sharing.createNetwork(wish('net1')));
    const two = await during(b.sharing.createNetwork(wish('net2')));
    expect([one.network.vni, two.network.vni]).toEqual([256, 257]);
    expect([one.pools, two.pools]).toEqual([
      [{ subnet: '10.112.0.0/24' }],
      [{ subnet: '10.112.1.0/24' }],
    ]);
    await hosts.clock.settle();
    expect(a.sharing.state.networks).toEqual(b.sharing.state.networks);
    expect(names(a)).toEqual(['net1', 'net2']);
  });

  it('is there at once for whoever made it, however slow the watch is', async () => {
    a.store.set({ latency: 300 });
    await during(a.sharing.createNetwork(wish('net1')));
    expect(names(a)).toEqual(['net1']);
  });

  it('is the host’s own when the answer was lost and somebody has touched it since', async () => {
    a.store.set({ lostAnswers: 1 });
    const forget = hosts.cluster.onWrite(() => {
      forget();
      const record = hosts.cluster.value(keys.network('net1'));
      hosts.cluster.put(keys.network('net1'), JSON.stringify(record, null, 1));
    });
    expect((await during(a.sharing.createNetwork(wish('net1')))).network.vni).toBe(256);
    expect(hosts.cluster.keys('vnis/')).toEqual([keys.vni(256)]);
  });

  it('avoids what only this host knows to be taken', async () => {
    const occupied = { subnets: ['10.112.0.7/23'], vnis: [256, 258] };
    const c = await hosts.start(3, { occupied });
    const one = await during(c.sharing.createNetwork(wish('one')));
    const two = await during(c.sharing.createNetwork(wish('two')));
    expect([one.network.vni, two.network.vni]).toEqual([257, 259]);
    expect(one.pools).toEqual([{ subnet: '10.112.2.0/24' }]);
  });

  it('has no VNI that was just given back', async () => {
    expect(await vniOf(a, 'one')).toBe(256);
    await during(a.sharing.removeNetwork('one'));
    expect(await vniOf(a, 'two')).toBe(257);
    await during(a.sharing.removeNetwork('two'));
    expect(await vniOf(b, 'three')).toBe(258);
  });

  it('has the VNI that was asked for, or is refused', async () => {
    expect(await vniOf(a, 'one', 77)).toBe(77);
    expect(await codeOf(b.sharing.createNetwork(wish('two', { vni: 77 })))).toBe('VNI_TAKEN');
    expect(await codeOf(b.sharing.createNetwork(wish('one')))).toBe('NETWORK_EXISTS');
    expect(hosts.cluster.keys('vnis/')).toEqual([keys.vni(77)]);
  });

  it('is refused when its automatic subnet finds no room', async () => {
    const c = await hosts.start(3, { occupied: { subnets: ['10.0.0.0/8'] } });
    expect(await codeOf(c.sharing.createNetwork(wish('n')))).toBe('NO_FREE_SUBNET');
    const pools = [{ subnet: '10.1.0.0/16' }];
    expect(await codeOf(c.sharing.createNetwork(wish('n', { pools })))).toBe('done');
  });

  it('by two hosts at once ends as one', async () => {
    const results = await during(
      Promise.allSettled([a, b].map(({ sharing }) => sharing.createNetwork(wish('net1')))),
    );
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const loser = results.find((result) => result.status === 'rejected');
    expect(loser?.reason).toMatchObject({ code: 'NETWORK_EXISTS' });
    expect(hosts.cluster.keys('vnis/')).toEqual([keys.vni(256)]);
    expect(hosts.cluster.keys('subnets/')).toEqual([keys.subnet('10.112.0.0/24')]);
  });

  it('by two hosts at once under two names has two VNIs and two subnets', async () => {
    const records = await during(
      Promise.all([a, b].map((run) => run.sharing.createNetwork(wish(`of-${run.vtep}`)))),
    );
    expect(new Set(records.map(({ network }) => network.vni)).size).toBe(2);
    expect(new Set(records.map(({ pools }) => pools[0]?.subnet)).size).toBe(2);
  });
});

describe('a network that is joined', () => {
  it('is the one that is there, or a new one', async () => {
    const made = await during(a.sharing.joinNetwork(wish('net1', { owner: 'docker' })));
    const found = await during(b.sharing.joinNetwork(wish('net1', { owner: 'docker' })));
    expect(found).toEqual(made);
  });

  it('by two hosts at once is one', async () => {
    const [one, two] = await during(
      Promise.all([a, b].map(({ sharing }) => sharing.joinNetwork(wish('net1')))),
    );
    expect(one).toEqual(two);
  });

  it.each([
    [{ vni: 256 }, 'done'],
    [{ vni: 300 }, 'NETWORK_MISMATCH'],
    [{ pools: [{ subnet: '10.112.0.0/24', range: '10.112.0.0/25' }] }, 'done'],
    [{ pools: [{ subnet: '10.113.0.0/24' }] }, 'NETWORK_MISMATCH'],
    [{ pools: [] }, 'NETWORK_MISMATCH'],
  ])('with %j where 256 and 10.112.0.0/24 are: %s', async (more, outcome) => {
    await during(a.sharing.createNetwork(wish('net1')));
    expect(await codeOf(b.sharing.joinNetwork(wish('net1', more)))).toBe(outcome);
  });

  it('waits for the end of one that is being removed', async () => {
    await during(a.sharing.createNetwork(wish('net1')));
    const { id } = a.sharing.state.networks.get('net1')!;
    a.store.set({ latency: 100 });
    const removal = a.sharing.removeNetwork('net1');
    await hosts.clock.advance(150);
    expect(b.sharing.state.networks.get('net1')?.removing).toBe(true);
    const [joined] = await during(Promise.all([b.sharing.joinNetwork(wish('net1')), removal]));
    expect(joined.id).not.toBe(id);
    expect(names(b)).toEqual(['net1']);
  });

  it('takes the place of an earlier one of Docker’s cluster that nobody uses', async () => {
    const cluster = (docker_id: string) => wish('n', { owner: 'docker-cluster', docker_id });
    await during(a.sharing.joinNetwork(cluster('old')));
    expect((await during(b.sharing.joinNetwork(cluster('old')))).docker_id).toBe('old');
    expect((await during(b.sharing.joinNetwork(cluster('new')))).docker_id).toBe('new');
    a.sharing.announce([endpoint('n', 'e', '10.112.1.9/24')]);
    await hosts.clock.advance(50);
    expect(await codeOf(b.sharing.joinNetwork(cluster('newer')))).toBe('NETWORK_IN_USE');
  });
});

describe('a network that is removed', () => {
  it('leaves nothing', async () => {
    await during(a.sharing.createNetwork(wish('net1')));
    await during(a.sharing.reserve('net1', { family: 4, use: 'gateway' }));
    await during(b.sharing.reserve('net1', { family: 4, use: 'endpoint' }));
    await during(b.sharing.enter('net1', 'd'));
    await during(b.sharing.removeNetwork('net1'));
    expect(hosts.cluster.keys()).toEqual(['hosts/10.200.0.1', 'hosts/10.200.0.2', 'store']);
    await hosts.clock.settle();
    expect(a.sharing.state.addresses.size + a.sharing.state.members.size).toBe(0);
    expect(await codeOf(a.sharing.removeNetwork('net1'))).toBe('NETWORK_UNKNOWN');
  });

  it('leaves nothing, however much it was', async () => {
    await during(a.sharing.createNetwork(wish('net1', { pools: [{ subnet: '10.0.0.0/16' }] })));
    const many = Array.from({ length: 3 * TRANSACTION_MAX }, (_, at) => `10.0.7.${at + 1}`);
    for (const address of many) {
      await during(b.sharing.reserve('net1', { family: 4, address, use: 'endpoint' }));
    }
    await during(a.sharing.removeNetwork('net1'));
    expect(hosts.cluster.keys('addresses/')).toEqual([]);
    expect(hosts.cluster.keys('networks/')).toEqual([]);
  });

  it('is refused while somebody uses it, with who does', async () => {
    await during(a.sharing.createNetwork(wish('net1')));
    b.sharing.announce([endpoint('net1', 'e1', '10.112.0.5/24', { name: 'web' })]);
    await hosts.clock.advance(50);
    await expect(during(a.sharing.removeNetwork('net1'))).rejects.toMatchObject({
      code: 'NETWORK_IN_USE',
      message: expect.stringContaining('web on h2 (10.200.0.2)'),
    });
    expect(a.sharing.state.networks.get('net1')?.removing).toBeUndefined();
  });

  it('is refused by what this host has announced and the store does not know yet', async () => {
    await during(a.sharing.createNetwork(wish('net1')));
    a.sharing.announce([endpoint('net1', 'e1', '10.112.0.5/24')]);
    expect(await codeOf(a.sharing.removeNetwork('net1'))).toBe('NETWORK_IN_USE');
    a.sharing.announce([]);
    expect(await codeOf(a.sharing.removeNetwork('net1'))).toBe('done');
  });

  it('takes nobody along who attaches at the same moment', async () => {
    for (let delay = 0; delay < 12; delay++) {
      await during(a.sharing.createNetwork(wish('net1', { pools: [{ subnet: '10.0.0.0/24' }] })));
      b.store.set({ latency: delay });
      a.store.set({ latency: 12 - delay });
      b.sharing.announce([endpoint('net1', 'e1', '10.0.0.5/24')]);
      const outcome = await codeOf(a.sharing.removeNetwork('net1'));
      await hosts.clock.advance(5_000);
      const isThere = hosts.cluster.keys('networks/').length === 1;
      expect(outcome).toBe(isThere ? 'NETWORK_IN_USE' : 'done');
      expect(hosts.cluster.keys('endpoints/').length).toBe(isThere ? 1 : 0);
      expect(a.sharing.state.networks.get('net1')?.removing).toBeUndefined();
      b.sharing.announce([]);
      await hosts.clock.advance(5_000);
      if (isThere) await during(a.sharing.removeNetwork('net1'));
    }
  });

  it('is finished by others when the host that began dies', async () => {
    await during(a.sharing.createNetwork(wish('net1')));
    await during(b.sharing.reserve('net1', { family: 4, use: 'gateway' }));
    hosts.cluster.put('networks/net1', removing());
    await hosts.kill(a);
    await hosts.clock.advance(20_000);
    expect(names(b)).toEqual(['net1']);
    await hosts.clock.advance(20_000);
    expect(names(b)).toEqual([]);
    expect(hosts.cluster.keys()).toEqual(['hosts/10.200.0.2', 'store']);
  });

  it('is taken back by others when the host that began dies and it is in use', async () => {
    await during(a.sharing.createNetwork(wish('net1')));
    b.sharing.announce([endpoint('net1', 'e1', '10.112.0.5/24')]);
    await hosts.clock.advance(50);
    hosts.cluster.put('networks/net1', removing());
    await hosts.clock.advance(40_000);
    expect(b.sharing.state.networks.get('net1')?.removing).toBeUndefined();
    expect(hosts.cluster.keys('endpoints/')).toEqual(['endpoints/net1/e1']);
    expect(b.sharing.health.conflicts).toEqual([]);
  });

  const removing = () => {
    const record = hosts.cluster.value('networks/net1') as object;
    return JSON.stringify({ ...record, removing: true });
  };
});

describe('a network that Docker made', () => {
  const dockers = wish('net1', { owner: 'docker' });
  beforeEach(async () => {
    for (const { sharing, vtep } of [a, b]) {
      await during(sharing.joinNetwork(dockers));
      await during(sharing.enter('net1', `id-${vtep}`));
    }
  });

  it('goes with the last Docker that forgets it', async () => {
    await hosts.clock.settle();
    expect(a.sharing.state.members.get('net1')).toEqual(
      new Map([
        ['10.200.0.1', { version: 1, docker_id: 'id-10.200.0.1' }],
        ['10.200.0.2', { version: 1, docker_id: 'id-10.200.0.2' }],
      ]),
    );
    await during(a.sharing.leave('net1'));
    expect(names(b)).toEqual(['net1']);
    await during(b.sharing.leave('net1'));
    expect(hosts.cluster.keys()).toEqual(['hosts/10.200.0.1', 'hosts/10.200.0.2', 'store']);
  });

  it('goes when both forget it at once', async () => {
    await during(Promise.all([a, b].map(({ sharing }) => sharing.leave('net1'))));
    expect(hosts.cluster.keys('networks/')).toEqual([]);
  });

  it('stays while another Docker knows it', async () => {
    await expect(during(a.sharing.removeNetwork('net1'))).rejects.toThrow(
      'Docker on h1 (10.200.0.1), Docker on h2 (10.200.0.2)',
    );
  });

  it('goes after a while when the last one died before it could', async () => {
    hosts.cluster.delete('members/net1/10.200.0.1', 'members/net1/10.200.0.2');
    await hosts.clock.advance(50_000);
    expect(names(a)).toEqual(['net1']);
    await hosts.clock.advance(20_000);
    expect(names(a)).toEqual([]);
  });

  it('is not entered while it is being removed', async () => {
    const record = hosts.cluster.value('networks/net1') as object;
    hosts.cluster.put('networks/net1', JSON.stringify({ ...record, removing: true }));
    await hosts.clock.settle();
    expect(await codeOf(a.sharing.enter('net1', 'x'))).toBe('NETWORK_UNKNOWN');
  });

  it('of Docker’s cluster goes with the one that is told of the removal', async () => {
    const wanted = wish('glob', { owner: 'docker-cluster', docker_id: 'd' });
    await during(a.sharing.joinNetwork(wanted));
    await during(b.sharing.leave('glob'));
    expect(hosts.cluster.keys('networks/')).toEqual(['networks/net1']);
  });

  it('that people made stays when Docker forgets it', async () => {
    await during(a.sharing.createNetwork(wish('theirs')));
    await during(b.sharing.enter('theirs', 'x'));
    await during(b.sharing.leave('theirs'));
    await hosts.clock.advance(100_000);
    expect(hosts.cluster.keys('networks/')).toContain('networks/theirs');
  });
});
