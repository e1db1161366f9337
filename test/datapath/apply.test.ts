/** Whole states in: what an apply reports, changes, refuses and leaves alone. */

import { describe, expect, it } from 'vitest';
import type { DesiredState } from '../../src/datapath/seam.js';
import { SwitchError } from '../../src/model/error.js';
import { BROADCAST, ethernet, numberedMac } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, network, OTHER_PEER, PEER, port, tunnel } from './desired.js';
import { datagram, dropped, MemorySwitch } from './memorySwitch.js';

function hello(station: number): Buffer {
  const src = numberedMac(station);
  return ethernet({ dst: BROADCAST, src, type: 0x88b5 }, Buffer.from('hello'));
}

async function refusal(work: Promise<unknown>): Promise<SwitchError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SwitchError);
  return error as SwitchError;
}

describe('the report', () => {
  it('names everything once, as added, kept, changed or removed', async () => {
    const running = new MemorySwitch();
    await testScope().defer('the switch', () => running.datapath.stop());
    const names = ['network net', 'port a', 'port b', `tunnel net ${PEER}:4789/256`];
    expect(await running.apply(desired(lab()))).toEqual({
      added: names,
      kept: [],
      changed: [],
      removed: [],
    });
    expect(await running.apply(desired(lab()))).toEqual({
      added: [],
      kept: names,
      changed: [],
      removed: [],
    });
    const next = lab({
      ageingSecs: 60,
      ports: [port('b', { mtu: 1400 }), port('c')],
      tunnels: [tunnel(PEER, 256, { flood: false }), tunnel(OTHER_PEER, 256)],
    });
    expect(await running.apply(desired(next))).toEqual({
      added: ['port c', `tunnel net ${OTHER_PEER}:4789/256`],
      kept: [],
      changed: ['network net', 'port b', `tunnel net ${PEER}:4789/256`],
      removed: ['port a'],
    });
    expect(await running.apply(desired())).toEqual({
      added: [],
      kept: [],
      changed: [],
      removed: [
        'network net',
        'port b',
        'port c',
        `tunnel net ${PEER}:4789/256`,
        `tunnel net ${OTHER_PEER}:4789/256`,
      ],
    });
  });

  it('says that a port has changed which is now in another network', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    const moved = desired(lab({ ports: [port('a')] }), network('two', 2, { ports: [port('b')] }));
    expect(await running.apply(moved)).toMatchObject({
      added: ['network two'],
      changed: ['port b'],
    });
  });
});

describe('a refused apply', () => {
  const free = port('free');
  const tap = port('t', { kind: 'tap', ifname: 'eth0', netns: '/run/netns/vs-none' });
  const peer6 = tunnel('fd00::2', 257);
  const states: [string, string, string, DesiredState][] = [
    [
      'a name used twice',
      'BAD_VALUE',
      'port a',
      desired(lab(), network('x', 9, { ports: [port('a')] })),
    ],
    ['a network twice', 'BAD_VALUE', 'network net', desired(lab(), network('net', 257))],
    ['[N231] a VNI twice', 'BAD_VALUE', 'network x', desired(lab(), network('x', 256))],
    ['[N229] a VNI too large', 'BAD_VALUE', 'network x', desired(lab(), network('x', 1 << 24))],
    [
      '[N238] a UDP port too large',
      'BAD_VALUE',
      'network x',
      desired(network('x', 9, { udpPort: 65_536 })),
    ],
    [
      '[N235] the other family',
      'BAD_VALUE',
      'fd00::2',
      desired(network('x', 257, { tunnels: [peer6] })),
    ],
    [
      'an address that is none',
      'BAD_VALUE',
      'network x',
      desired(network('x', 9, { tunnels: [tunnel('there', 9)] })),
    ],
    [
      'a MAC that is none',
      'BAD_VALUE',
      'network x',
      desired(network('x', 9, { fdb: [{ mac: 'no mac', origin: 'static', to: { local: true } }] })),
    ],
    [
      'an entry that leads nowhere',
      'BAD_VALUE',
      'network x',
      desired(network('x', 9, { fdb: [{ mac: numberedMac(1), origin: 'static', to: {} }] })),
    ],
    ['a namespace that is not there', 'NETNS_GONE', 'port t', desired(lab({ ports: [free, tap] }))],
    [
      'another VTEP address',
      'VTEP_CHANGED',
      'vtep',
      { ...desired(), vtep: { ...desired().vtep, address: '10.200.0.7' } },
    ],
  ];

  it.each(states)('names the culprit: %s', async (_what, code, subject, state) => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    const error = await refusal(running.apply(state));
    expect(error).toMatchObject({ code });
    expect(error.subject).toContain(subject);
    expect(error.message).toContain(error.subject);
    expect(error.message).not.toMatch(/[{}]|undefined/);
  });

  it.each(states)('[N241] changes nothing: %s', async (_what, _code, _subject, state) => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    await running.enter('a', hello(1));
    running.sent();
    running.left('b');
    const before = await running.settled();
    const table = running.datapath.fdb();
    await refusal(running.apply(state));
    expect(await running.settled()).toMatchObject({
      networks: before.networks,
      underlay: before.underlay,
    });
    expect(running.datapath.fdb()).toEqual(table);
    await running.enter('b', hello(2));
    expect(running.left('a')).toEqual([hello(2)]);
    expect(running.sent()).toHaveLength(1);
    expect(await running.apply(desired(lab()))).toMatchObject({
      added: [],
      changed: [],
      removed: [],
    });
  });

  it('is a bug of ours when the state has not the agreed shape', async () => {
    const running = new MemorySwitch();
    const error = await refusal(
      running.datapath.apply({ networks: [] } as unknown as DesiredState),
    );
    expect(error).toMatchObject({ code: 'INTERNAL', subject: 'the datapath' });
    expect(error.message).toContain('vtep');
  });

  it('carries what the kernel said', async () => {
    const running = await MemorySwitch.running(testScope(), desired());
    const error = await refusal(running.apply(desired(lab({ ports: [tap] }))));
    expect(error.facts).toMatchObject({ syscall: 'stat', errno: 2 });
    expect(error.message).toMatch(/^cannot attach port t: .*stat: ENOENT/);
  });
});

describe('while running', () => {
  it('[D63] [D64] takes with a port or VTEP what was learned there; static entries stay, inactive', async () => {
    const at = (mac: string, to: object) => ({ mac, origin: 'static' as const, to });
    const fdb = [
      at(numberedMac(8), { port: 'b' }),
      at(numberedMac(9), { tunnel: { remote: PEER, udpPort: 4789, vni: 256 } }),
    ];
    const running = await MemorySwitch.running(testScope(), desired(lab({ fdb })));
    await running.enter('a', hello(1));
    await running.enter('b', hello(2));
    await running.arrive(datagram(hello(3)));
    await running.apply(desired(lab({ fdb, ports: [port('a')], tunnels: [] })));
    const table = running.datapath.fdb().map(({ mac, active }) => ({ mac, active }));
    expect(table).toEqual([
      { mac: numberedMac(1), active: true },
      { mac: numberedMac(8), active: false },
      { mac: numberedMac(9), active: false },
    ]);
    await running.apply(desired(lab({ fdb })));
    expect(running.datapath.fdb().every(({ active }) => active)).toBe(true);
  });

  it('[N242] [O253] a change elsewhere keeps entries, queues and counts', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    await running.enter('a', hello(1));
    const before = await running.settled();
    await running.apply(desired(lab({ ports: [port('a'), port('b'), port('c')] })));
    const after = await running.settled();
    expect(after.networks[0]?.ports).toEqual(
      expect.arrayContaining(before.networks[0]?.ports ?? []),
    );
    expect(after.underlay).toEqual(before.underlay);
    expect(running.left('b')).toEqual([hello(1)]);
    expect(running.datapath.fdb()).toHaveLength(1);
    expect(running.sent()).toHaveLength(1);
  });

  it('[O253] counts of removed ports stay in their network and never go back', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    await running.enter('b', hello(1), hello(1), hello(1));
    await running.apply(desired(lab({ ports: [port('a')] })));
    await running.apply(desired(lab()));
    const counters = await running.enter('b', hello(1));
    const [net] = counters.networks;
    expect(net).toMatchObject({ retired: { rxFrames: 3 }, flooded: 4, replicated: 8 });
    expect(net?.ports.find(({ name }) => name === 'b')).toMatchObject({ rxFrames: 1 });
  });

  it.each([
    ['VTEP', desired(lab({ tunnels: [] }))],
    ['network', desired()],
  ])('[O253] keeps what came through a %s that is gone in the balance', async (_what, without) => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    await running.arrive(datagram(hello(1)), datagram(hello(2)));
    await running.arrive(datagram(hello(3), { from: OTHER_PEER }));
    await running.apply(without);
    expect((await running.settled()).underlay.datagrams).toBe(3);
    await running.apply(desired(lab()));
    expect((await running.arrive(datagram(hello(4)))).underlay.datagrams).toBe(4);
  });

  it('[N243] another VNI resets its network alone', async () => {
    const other = network('other', 9, { ports: [port('x'), port('y')] });
    const running = await MemorySwitch.running(testScope(), desired(lab(), other));
    await running.enter('a', hello(1));
    await running.enter('x', hello(2));
    const changed = { ...lab(), vni: 300, tunnels: [tunnel(PEER, 300)] };
    await running.apply(desired(changed, other));
    expect(running.datapath.fdb().map(({ network: name }) => name)).toEqual(['other']);
    running.left('b');
    await running.arrive(datagram(hello(3), { vni: 300 }));
    expect(running.left('b')).toEqual([hello(3)]);
    const counters = await running.arrive(datagram(hello(3), { vni: 256 }));
    expect(dropped(counters, 'rx.vni_unknown')).toBe(1);
  });

  it('[B32] a network that is down drops by name what comes from either side', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    await running.apply(desired(lab({ up: false })));
    await running.enter('a', hello(1));
    const counters = await running.arrive(datagram(hello(2)));
    expect(dropped(counters, 'rx.network_down')).toBe(1);
    expect(dropped(counters, 'rx.vni_down')).toBe(1);
    expect(running.datapath.fdb()).toEqual([]);
  });

  it('makes several applies true one after the other', async () => {
    const running = await MemorySwitch.running(testScope(), desired(lab()));
    const states = Array.from({ length: 20 }, (_, n) =>
      desired(lab({ ports: [port('a'), port(`p${n}`)] })),
    );
    await Promise.all(states.map((state) => running.datapath.apply(state)));
    const ports = (await running.settled()).networks[0]?.ports.map(({ name }) => name);
    // Threads take them up in whatever order; the last one taken is whole.
    expect(ports).toHaveLength(3);
    await running.apply(desired(lab()));
    await running.enter('a', hello(1));
    expect(running.left('b')).toEqual([hello(1)]);
  });
});
