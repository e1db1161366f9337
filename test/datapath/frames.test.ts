/**
 * What frames become, byte for byte.
 *
 *   a, b ── net (VNI 256) ══ 10.200.0.2, 10.200.0.3
 */

import { expect, it } from 'vitest';
import { arp, BROADCAST, ethernet, numberedMac } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, network, OTHER_PEER, OWN, PEER, port, tunnel } from './desired.js';
import { datagram, dropped, droppedFor, MemorySwitch } from './memorySwitch.js';

const [STATION, OTHER, ELSEWHERE] = [1, 2, 3].map(numberedMac) as [string, string, string];

function question(src: string): Buffer {
  const body = arp({ op: 1, senderMac: src, senderIp: '10.0.0.1', targetIp: '10.0.0.2' });
  return ethernet({ dst: BROADCAST, src, type: 0x0806 }, body);
}

function answer(dst: string, src: string): Buffer {
  return ethernet({ dst, src, type: 0x88b5 }, Buffer.from('an answer'));
}

const twoPeers = lab({ tunnels: [tunnel(PEER, 256), tunnel(OTHER_PEER, 256)] });

function running(...networks: Parameters<typeof desired>): Promise<MemorySwitch> {
  return MemorySwitch.running(testScope(), desired(...networks));
}

it('[E77] [E79] [E99] [J173] encapsulates a flood once for each peer behind a plain header', async () => {
  const lab = await running(twoPeers);
  const frame = question(STATION);
  const counters = await lab.enter('a', frame);
  const sent = lab.sent();
  expect(sent.map(({ destination }) => destination).sort()).toEqual([PEER, OTHER_PEER]);
  for (const { source, sourcePort, destinationPort, payload } of sent) {
    expect(Buffer.from(payload).toString('hex')).toBe(`0800000000010000${frame.toString('hex')}`);
    expect({ source, destinationPort }).toEqual({ source: OWN, destinationPort: 4789 });
    expect(sourcePort).toBeGreaterThanOrEqual(49152);
  }
  expect(lab.left('b')).toEqual([frame]);
  expect(lab.left('a')).toEqual([]);
  expect(counters.networks[0]).toMatchObject({ flooded: 1, replicated: 3, unicast: 0, learned: 1 });
});

it('[D54] [D56] decapsulates, learns the VTEP, and sends the answer to it alone', async () => {
  const lab = await running(twoPeers);
  const frame = question(STATION);
  await lab.arrive(datagram(frame, { from: OTHER_PEER }));
  expect([lab.left('a'), lab.left('b'), lab.sent()]).toEqual([[frame], [frame], []]);
  expect(lab.datapath.fdb('net')).toEqual([
    {
      network: 'net',
      vni: 256,
      mac: STATION,
      origin: 'learned',
      active: true,
      remote: OTHER_PEER,
      udpPort: 4789,
      tunnelVni: 256,
      local: false,
      idleSecs: expect.any(Number),
    },
  ]);
  const reply = answer(STATION, OTHER);
  await lab.enter('a', reply);
  const [only, ...more] = lab.sent();
  expect(more).toEqual([]);
  expect(only).toMatchObject({ destination: OTHER_PEER });
  expect(Buffer.from(only?.payload ?? []).subarray(8)).toEqual(reply);
  expect(lab.left('b')).toEqual([]);
});

it('[D74] sends by an entry of its own to its own UDP port and VNI', async () => {
  const key = { remote: PEER, udpPort: 8472, vni: 77 };
  const entry = { mac: ELSEWHERE, origin: 'control' as const, to: { tunnel: key } };
  const lab = await running(
    network('net', 256, { ports: [port('a')], tunnels: [{ ...key, flood: false }], fdb: [entry] }),
  );
  await lab.enter('a', answer(ELSEWHERE, STATION));
  const [sent] = lab.sent();
  expect(sent).toMatchObject({ destination: PEER, destinationPort: 8472 });
  expect(
    Buffer.from(sent?.payload ?? [])
      .subarray(0, 8)
      .toString('hex'),
  ).toBe('0800000000004d00');
  const names = lab.native.counters().networks[0]?.ports.map(({ name }) => name);
  expect(names).toContain(`${PEER}:8472/77`);
});

it('shows where every kind of entry leads', async () => {
  const fdb = [
    { mac: STATION, origin: 'static' as const, to: { port: 'a' } },
    { mac: OTHER, origin: 'control' as const, to: { local: true } },
    { mac: ELSEWHERE, origin: 'static' as const, to: { port: 'not there' } },
  ];
  const lab = await running(network('net', 256, { ports: [port('a')], fdb }));
  expect(lab.datapath.fdb()).toEqual([
    expect.objectContaining({ mac: STATION, origin: 'static', port: 'a', active: true }),
    expect.objectContaining({ mac: OTHER, origin: 'control', local: true, active: true }),
    expect.objectContaining({ mac: ELSEWHERE, port: 'not there', active: false }),
  ]);
  expect(lab.datapath.fdb('another')).toEqual([]);
});

it('[I160] consumes what is for this host', async () => {
  const mac = OTHER;
  const lab = await running(
    network('net', 256, {
      ports: [port('a')],
      fdb: [{ mac, origin: 'control', to: { local: true } }],
    }),
  );
  const counters = await lab.enter('a', answer(mac, STATION));
  expect(counters.networks[0]).toMatchObject({ consumed: 1, unicast: 0, flooded: 0 });
});

it('forgets learned entries of one port, then of the network, and never others', async () => {
  const fixed = { mac: ELSEWHERE, origin: 'static' as const, to: { port: 'b' } };
  const lab = await running({ ...twoPeers, fdb: [fixed] });
  await lab.enter('a', question(STATION));
  await lab.enter('b', question(OTHER));
  await lab.arrive(datagram(question(numberedMac(4))));
  const macs = () => lab.datapath.fdb('net').map(({ mac }) => mac);
  expect(macs()).toHaveLength(4);
  expect(lab.datapath.fdbFlush('net', 'a')).toBe(1);
  expect(macs()).not.toContain(STATION);
  expect(lab.datapath.fdbFlush('net')).toBe(2);
  expect(macs()).toEqual([ELSEWHERE]);
  expect(lab.datapath.fdbFlush('net')).toBe(0);
  expect(lab.datapath.fdbFlush('no such network')).toBe(0);
});

it('[M226] [D65] keeps two networks on one socket apart', async () => {
  const second = network('second', 257, { ports: [port('c')], tunnels: [tunnel(PEER, 257)] });
  const both = await running(lab(), second);
  await both.enter('a', question(STATION));
  await both.arrive(datagram(question(STATION), { vni: 257 }));
  expect(both.left('c')).toHaveLength(1);
  expect(both.left('b')).toHaveLength(1);
  expect(both.datapath.fdb().map((entry) => [entry.network, entry.port ?? entry.remote])).toEqual([
    ['net', 'a'],
    ['second', PEER],
  ]);
});

it.each([
  ['[B25] no I flag', 'rx.vxlan_no_i', { payload: Buffer.alloc(30) }],
  ['[A6] no whole header', 'rx.too_short_vxlan', { payload: Buffer.alloc(7) }],
  ['[A6] nothing at all', 'rx.too_short_vxlan', { payload: Buffer.alloc(0) }],
  ['[A7] no whole frame', 'rx.too_short_inner', datagram(Buffer.alloc(13))],
  ['[B31] an unknown VNI', 'rx.vni_unknown', datagram(question(STATION), { vni: 999 })],
  [
    '[B31] a known VNI on another port',
    'rx.vni_unknown',
    datagram(question(STATION), { udpPort: 8472 }),
  ],
  ['[M215] a stranger', 'rx.vtep_unknown', datagram(question(STATION), { from: '10.200.0.9' })],
  ['[A10] our own address', 'rx.outer_src_self', datagram(question(STATION), { from: OWN })],
  [
    '[A11] an impossible source',
    'rx.outer_src_invalid',
    datagram(question(STATION), { from: '0.0.0.0' }),
  ],
  ['[C43] a source of all zero', 'rx.src_mac_zero', datagram(question('00:00:00:00:00:00'))],
  ['[C42] a source that is a group', 'rx.src_mac_mcast', datagram(question('01:00:5e:00:00:01'))],
] as const)('drops by name and learns nothing: %s', async (_what, reason, wrong) => {
  const switched = await running(lab());
  const counters = await switched.arrive({ ...datagram(Buffer.alloc(0)), ...wrong });
  expect(droppedFor(counters)).toEqual({ [reason]: 1 });
  expect([switched.left('a'), switched.left('b'), switched.datapath.fdb()]).toEqual([[], [], []]);
});

it('[C51] [D57] drops by name at the port that it concerns', async () => {
  const fixed = { mac: OTHER, origin: 'static' as const, to: { port: 'b' } };
  const ports = [port('a'), port('b', { mtu: 100 })];
  const small = await running(network('net', 256, { ports, fdb: [fixed] }));
  await small.enter('a', ethernet({ dst: OTHER, src: STATION, type: 0x88b5 }, Buffer.alloc(101)));
  const counters = await small.enter('a', answer(STATION, OTHER));
  const at = (name: string) => counters.networks[0]?.ports.find((one) => one.name === name)?.drops;
  expect(at('b')).toEqual([{ reason: 'tx.port_mtu', frames: 1 }]);
  expect(at('a')).toEqual([{ reason: 'rx.fdb_static_conflict', frames: 1 }]);
});

it('[O249] a memory port that nobody empties drops at its own queue', async () => {
  const lab = await running(network('net', 256, { ports: [port('a'), port('b'), port('c')] }));
  let frames = 0;
  let counters = lab.native.counters();
  while (dropped(counters, 'tx.port_queue') === 0 && frames < 100_000) {
    counters = await lab.enter('a', ...Array.from({ length: 1000 }, () => question(STATION)));
    frames += 1000;
    lab.left('c');
  }
  const at = (name: string) => counters.networks[0]?.ports.find((one) => one.name === name);
  expect(at('b')?.txFrames).toBe(lab.left('b').length);
  expect(at('b')?.txFrames).toBe(frames - dropped(counters, 'tx.port_queue'));
  expect(at('c')).toMatchObject({ txFrames: frames, drops: [] });
});
