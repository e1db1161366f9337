/**
 * All that vswitchd does, on what looks to it and to vswitchctl like older releases of Linux.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 *
 * Both run under `tools/oldkernel`; the kernel's vxlan and the containers do not. Each title below `at RELEASE` is a
 * row of docs/old-kernels.md.
 */

import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DoctorView, StatusView } from '../../src/control/views.js';
import { Capture } from '../support/capture.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { isMarked, markedFrame } from '../support/marked.js';
import { temporaryDirectory } from '../support/netns.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { expectFlawless, readCapture } from '../support/tshark.js';
import {
  type NetworkConfig,
  type PortConfig,
  portArguments,
  portOf,
  Vswitchd,
} from '../support/vswitchd.js';
import { LEVELS, launcher } from './levels.js';

describe.each(LEVELS)('at $release', ({ release, lacks, hasSetns, sharesPorts }) => {
  const scope = fileScope();
  let one: Host;
  let two: Host;
  let three: Host;
  let c1: Container;
  let c2: Container;
  let vswitchd: Vswitchd;
  let network: NetworkConfig;

  beforeAll(async () => {
    const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
    [one, two, three] = hosts as [Host, Host, Host];
    c1 = await placed(await createContainer(scope, 'c1', 1), one);
    c2 = await createContainer(scope, 'c2', 2);
    const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
    await kernel.attach(c2);
    network = { name: 'net', vni: 256, peers: [two.address[4]], ports: [port(c1)] };
    vswitchd = await Vswitchd.start(scope, one, {
      networks: [network],
      datapath: { workers: 2 },
      launcher: launcher(release),
    });
  });

  /** Where a port can be: in a container's namespace, or else in the host's own. */
  async function placed(container: Container, host: Host): Promise<Container> {
    if (hasSetns) return container;
    return { ...container, namespace: host.namespace, ifname: container.name };
  }

  function port(container: Container): PortConfig {
    const { netns, ...rest } = portOf(container);
    return hasSetns ? { netns, ...rest } : rest;
  }

  test('start and status', async () => {
    const status = await vswitchd.ctl<StatusView>('status');
    expect(status.ports).toMatchObject({ up: 1, waiting: 0 });
    // Two were asked for.
    expect(status.workers).toBe(sharesPorts ? 2 : 1);
    // One line says of each, once.
    await vswitchd.child.waitForLine(/continues without an offload/);
    const said = vswitchd.log.split('\n').filter((line) => line.includes('"downgraded"'));
    expect(said).toHaveLength(1);
    const facilities = [...said.join().matchAll(/(\w+): the kernel has none/g)].map(
      ([, name]) => name,
    );
    const expected = lacks.map((name) => SENTENCE[name]).filter((name) => name !== undefined);
    expect(facilities.sort()).toEqual(
      [...expected, ...(sharesPorts ? [] : ['SO_REUSEPORT'])].sort(),
    );
  });

  test('doctor', async () => {
    const { ready, checks } = await vswitchd.ctl<DoctorView>('doctor');
    expect(ready).toBe(true);
    const facilities = checks.filter(({ name }) => FACILITIES.includes(name));
    expect(facilities.map(({ name }) => name).sort()).toEqual([...FACILITIES].sort());
    const without = facilities.filter(({ ok }) => !ok).map(({ name }) => name);
    expect(without.sort()).toEqual([...lacks, 'ring', 'tunnel_gso'].sort());
  });

  test('ping and TCP with the kernel’s vxlan', async () => {
    for (const size of [0, 1000, 1422]) {
      await expectPing(c1, { to: c2.address[4], size });
      await expectPing(c2, { to: c1.address[4], size });
    }
    await expectPing(c1, { to: c2.address[6], size: 1402 });
    await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
    await expectTransfer({ from: c2, to: c1, family: 6, bytes: 2_000_000 });
    await vswitchd.balanced();
  });

  test('ARP and broadcast from cold', async () => {
    for (const { namespace } of [c1, c2]) await namespace.exec('ip', ['neigh', 'flush', 'all']);
    await vswitchd.ctl('fdb', 'flush', 'net');
    for (const [from, to] of [
      [c1, c2],
      [c2, c1],
    ] as const) {
      const frame = markedFrame(BROADCAST, from.mac, `from ${from.name}`);
      const capture = await Capture.start(testScope(), to);
      await sendFrames(from, [frame]);
      await expectPing(from, { to: to.address[4] });
      await expectPing(from, { to: to.address[6] });
      const found = await capture.waitFor(1, isMarked);
      expect(found.map((bytes) => bytes.toString('hex'))).toEqual([frame.toString('hex')]);
    }
  });

  test('offloads as the release has them', async () => {
    const shown = await c1.namespace.exec('ethtool', ['-k', c1.ifname]);
    const isOn = (name: string) => new RegExp(`^\\s*${name}: on`, 'm').test(shown);
    expect(isOn('tcp-segmentation-offload')).toBe(true);
    expect(isOn('tx-udp-segmentation')).toBe(false);
  });

  test('capture', async () => {
    const file = join(await temporaryDirectory(testScope(), 'capture'), 'taken.pcapng');
    const child = await vswitchd.spawnCtl(testScope(), 'capture', 'net', '-w', file);
    await child.waitForLine(/capturing on/);
    await expectPing(c1, { to: c2.address[4], count: 3 });
    expect(await child.stop('SIGINT')).toEqual({ code: 0, signal: undefined });
    await expectFlawless(file);
    const echoes = await readCapture(file, ['icmp.type', 'icmp.seq'], 'icmp.type == 0');
    expect(new Set(echoes.map((row) => row['icmp.seq'])).size).toBeGreaterThanOrEqual(3);
  });

  test('restart, and the TAP stays', async () => {
    const ifindex = async () => {
      const links = await c1.namespace.ipJson<{ ifindex: number }[]>('link', 'show', c1.ifname);
      return links[0]?.ifindex;
    };
    const stream = await openStream(testScope(), { from: c1, to: c2, family: 4 });
    const before = await ifindex();
    expect(await vswitchd.stop()).toMatchObject({ code: 0 });
    expect(await ifindex()).toBe(before);
    await vswitchd.start();
    expect(await ifindex()).toBe(before);
    await stream.goesOn();
    await stream.finish();
  });

  test('reload', async () => {
    const c3 = await placed(await createContainer(testScope(), 'c3', 3), one);
    await vswitchd.reload([{ ...network, ports: [port(c1), { ...port(c3), addresses: [] }] }]);
    const status = await vswitchd.ctl<StatusView>('status');
    expect(status.ports).toMatchObject({ up: 2, waiting: 0 });
    await expectPing(c1, { to: c2.address[4] });
    await vswitchd.reload([network]);
    expect((await vswitchd.ctl<StatusView>('status')).ports.up).toBe(1);
    const gone = await c3.namespace.tryExec('ip', ['link', 'show', c3.ifname]);
    expect(gone.exitCode).not.toBe(0);
  });

  test('two vswitchd', async () => {
    const own = testScope();
    const a = await placed(await createContainer(own, 'c4', 4), three);
    const b = await placed(await createContainer(own, 'c5', 5), two);
    const other = await Vswitchd.start(own, three, {
      networks: [{ name: 'pair', vni: 300, peers: [two.address[4]], ports: [port(a)] }],
      vtep: { port: PAIR_PORT },
      launcher: launcher(release),
    });
    const second = await Vswitchd.start(own, two, {
      networks: [{ name: 'pair', vni: 300, peers: [three.address[4]], ports: [port(b)] }],
      vtep: { port: PAIR_PORT },
      launcher: launcher(release),
    });
    await expectPing(a, { to: b.address[4], size: 1422 });
    await expectTransfer({ from: a, to: b, family: 4, bytes: 2_000_000 });
    for (const each of [other, second]) {
      await each.balanced();
      await each.stop();
    }
  });

  const attach = async () => {
    const c6 = await createContainer(testScope(), 'c6', 6);
    await vswitchd.ctl('port', 'add', 'net', ...portArguments(c6));
    await expectPing(c6, { to: c2.address[4] });
    await vswitchd.ctl('port', 'rm', 'c6');
  };

  const refuse = async () => {
    const c6 = await createContainer(testScope(), 'c6', 6);
    const said = await vswitchd.tryCtl('port', 'add', 'net', ...portArguments(c6));
    expect(said.exitCode).toBe(1);
    expect(said.stderr).toContain('the kernel has no setns');
    const { mac, namespace, ifname } = c6;
    await vswitchd.ctl('port', 'add', 'net', '--name', 'c6', '--ifname', ifname, '--mac', mac);
    await one.namespace.ip(`link set dev ${ifname} netns ${namespace.name}`);
    await namespace.ip(`
      address add ${c6.address[4]}/24 dev ${ifname}
      link set dev ${ifname} up
    `);
    await expectPing(c6, { to: c2.address[4] });
    await vswitchd.ctl('port', 'rm', 'c6');
  };

  if (hasSetns) test('ports in namespaces', attach);
  else test(`ports in namespaces – ${NO_SETNS}`, refuse);
});

const NO_SETNS =
  'needs setns (Linux 3.0): refused with that sentence; a TAP that is moved there by somebody else goes on';

/** Apart from the kernel's vxlan on that host. */
const PAIR_PORT = 4790;

/** As `vswitchctl doctor` names them. */
const FACILITIES = [
  ...['vnet_hdr', 'tso', 'uso', 'multi_queue', 'recvmmsg', 'sendmmsg', 'udp_gso', 'udp_gro'],
  ...['rcvbuf_force', 'ring', 'tunnel_gso', 'packet', 'packet_vnet_hdr', 'veth'],
];

/** How a line of the log that says of a facility's absence begins. */
const SENTENCE: Readonly<Record<string, string>> = {
  recvmmsg: 'recvmmsg',
  sendmmsg: 'sendmmsg',
  udp_gso: 'UDP_SEGMENT',
  udp_gro: 'UDP_GRO',
};
