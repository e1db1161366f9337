/** What the addon says of the host around it. */

import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Datapath } from '../../src/datapath/datapath.js';
import { fromNative } from '../../src/datapath/nativeError.js';
import { testScope } from '../support/testScope.js';
import { desired, lab, port } from './desired.js';
import { addon } from './memorySwitch.js';
import { program } from './program.js';

const datapath = new Datapath(addon);

it('has each drop reason once, with its stage and a sentence', () => {
  const reasons = datapath.dropReasons();
  const names = reasons.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect([...names].sort()).toEqual([...DROP_REASONS].sort());
  for (const { name, stage, sentence } of reasons) {
    expect(name).toMatch(/^(rx|tx|arp|nd)\.[a-z0-9_]+$/);
    expect(name.startsWith('tx.') || stage !== 'egress').toBe(true);
    expect(['underlay', 'ingress', 'egress']).toContain(stage);
    expect(sentence).toMatch(/^[A-Z].{15,}\.$/);
  }
  expect(new Set(reasons.map(({ sentence }) => sentence)).size).toBe(names.length);
});

it('probes every facility and leaves nothing behind', () => {
  const before = Object.keys(networkInterfaces());
  const probe = datapath.probe();
  expect(probe.facilities.map(({ name }) => name).sort()).toEqual(FACILITIES);
  for (const { available, detail } of probe.facilities) {
    expect(typeof available).toBe('boolean');
    if (!available) expect(detail).toMatch(/\S/);
  }
  expect(probe.tun).toBe(probe.tunError === undefined);
  if (probe.tunError !== undefined)
    expect(fromNative({ message: probe.tunError }).code).toMatch(/^NO_/);
  expect(probe.interfaces.find(({ ifname }) => ifname === 'lo')).toMatchObject({
    mtu: expect.any(Number),
    up: expect.any(Boolean),
    addresses: expect.any(Array),
  });
  expect(probe.vxlanDevices).toEqual(expect.any(Array));
  expect(Object.keys(networkInterfaces())).toEqual(before);
});

it('[N234] one process at a time holds a lock, until it lets go or dies', async () => {
  const scope = testScope();
  const folder = mkdtempSync(join(tmpdir(), 'vs-lock-'));
  await scope.defer('the folder', () => rmSync(folder, { recursive: true }));
  const path = join(folder, 'lock');
  const locked = expect.objectContaining({ code: 'LOCKED', subject: path });

  const ours = datapath.lockFile(path);
  const second = await program(scope, 'holdLock', { path });
  expect(await second.exited).toMatchObject({ code: 1 });
  expect(second.stderr).toContain('LOCKED');
  ours.release();
  ours.release();

  const third = await program(scope, 'holdLock', { path });
  await third.waitForLine(/^locked$/);
  expect(() => datapath.lockFile(path)).toThrow(locked);
  third.signal('SIGKILL');
  await third.exited;
  datapath.lockFile(path).release();
});

it('says which file it cannot lock', () => {
  const path = '/nonexistent/lock';
  const facts = { syscall: 'open', errno: 2 };
  expect(() => datapath.lockFile(path)).toThrow(
    expect.objectContaining({ code: 'IO', subject: path, facts: expect.objectContaining(facts) }),
  );
});

it('finds no TAP of an owner who has none', async () => {
  expect(await datapath.ownedTaps('/run/vswitchd/nobody.sock')).toEqual([]);
  expect(await datapath.removeTap({ ifname: 'vs-none', port: 'p1' }, 'nobody')).toBe(false);
  expect(await datapath.removeTap({ ifname: 'lo', port: 'p1' }, 'nobody')).toBe(false);
  expect(
    await datapath.removeTap({ ifname: 'x', netns: '/run/netns/vs-none', port: 'p1' }, 'nobody'),
  ).toBe(false);
  expect(await datapath.removeRoamingTap('/run/netns/vs-none', 'p1', 'nobody')).toBe(false);
});

it('makes no TAP before it knows with how many queues', async () => {
  const tap = { port: 'p1', ifname: 'vs-none', mac: '02:42:0a:00:00:01', mtu: 1450 };
  await expect(datapath.makeTap(tap)).rejects.toMatchObject({ code: 'BAD_VALUE' });
});

it('without rights says what it lacks', async () => {
  const tap = port('c1', { kind: 'tap', ifname: 'vs-none' });
  const state = desired(lab({ ports: [port('a'), tap] }));
  const child = await program(testScope(), 'unprivileged', state);
  expect(await child.exited, child.describe()).toMatchObject({ code: 0 });
  const found = JSON.parse(child.stdout) as {
    taps: unknown;
    removed: unknown;
    netAdmin: unknown;
    messages: string[];
  };
  expect(found).toMatchObject({ taps: [], removed: false, netAdmin: false });
  const [apply, foreign] = found.messages.map((message) => fromNative({ message }));
  expect(apply?.code).toMatch(/^(NO_NET_ADMIN|NO_TUN)$/);
  expect(apply?.message).toMatch(/^cannot make port c1: /);
  expect(foreign).toMatchObject({ code: 'NO_NET_ADMIN' });
});

const FACILITIES = [
  'multi_queue',
  'packet',
  'packet_vnet_hdr',
  'rcvbuf_force',
  'recvmmsg',
  'ring',
  'sendmmsg',
  'tso',
  'tunnel_gso',
  'udp_gro',
  'udp_gso',
  'uso',
  'veth',
  'vnet_hdr',
];

/** What counters, logs and the API have been promised to say. A new one is added here, none is ever renamed. */
const DROP_REASONS = [
  ...['ring_overflow', 'outer_ip_bad', 'outer_udp_len', 'outer_udp_csum'],
  ...['sock_overflow', 'truncated', 'too_short_vxlan', 'outer_src_self', 'outer_src_invalid'],
  ...[
    'gro_ambiguous',
    'vxlan_no_i',
    'vni_unknown',
    'group_mismatch',
    'vni_down',
    'vtep_unknown',
    'vtep_vni_denied',
    'vtep_limit',
  ],
  ...[
    'network_down',
    'spoof_mac',
    'spoof_ip',
    'dhcp_guard',
    'ra_guard',
    'vxlan_rsvd_drop',
    'too_short_inner',
    'inner_ip_short',
    'vnet_hdr_bad',
    'ecn_ce_notect',
  ],
  ...['src_mac_mcast', 'src_mac_zero', 'src_mac_local', 'src_eq_dst', 'dst_mac_zero'],
  ...['l2ctrl_filtered', 'inner_vlan', 'inner_vlan_denied', 'inner_prio_tag'],
  ...['fdb_static_conflict', 'read_failed', 'port_oversize', 'port_overrun'],
  'offload_unknown',
]
  .map((name) => `rx.${name}`)
  .concat(
    [
      ...['hairpin', 'split_horizon', 'no_target', 'uu_suppressed', 'port_mtu', 'port_queue'],
      ...['port_gone', 'port_down', 'port_refused', 'no_route', 'sock_full', 'eperm', 'too_big'],
      ...['too_big_nodf', 'too_big_noicmp'],
      ...['local_down', 'batch_full', 'send_failed'],
    ].map((name) => `tx.${name}`),
  )
  .concat(['arp.spoof', 'nd.spoof', 'arp.ratelimited']);
