/**
 * What is foretold, what happens, and what is remembered of it.
 *
 *   c1, c2 ── network net1 ── vswitchd (host one) ══ kernel vxlan (host two) ── c3
 */

import { beforeAll, expect, test } from 'vitest';
import type { FdbView, HistoryView, TraceView } from '../../src/control/client.js';
import { eventually } from '../support/eventually.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { expectPing } from '../support/ping.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const scope = fileScope();
let vswitchd: Vswitchd;
let c1: Container;
let c2: Container;
let c3: Container;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
  const [one, two] = hosts as [Host, Host];
  [c1, c2, c3] = (await Promise.all([1, 2, 3].map((n) => createContainer(scope, `c${n}`, n)))) as [
    Container,
    Container,
    Container,
  ];
  const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
  await kernel.attach(c3);
  // Or its neighbor discovery would introduce it before the first trace.
  await c3.namespace.ip(`link set dev ${c3.ifname} down`);
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [
      { name: 'net1', vni: 256, peers: [two.address[4]], ports: [portOf(c1), portOf(c2)] },
    ],
  });
}, 60_000);

const trace = async (...args: string[]) => await vswitchd.ctl<TraceView>('trace', 'net1', ...args);

test('a trace knows what the switch has learned, and changes nothing of it', async () => {
  const flow = `ether dst ${c3.mac} ip dst ${c3.address[4]} icmp`;
  const before = await trace('--port', 'c1', flow);
  expect(before).toMatchObject({ verdict: 'flood', assumed: expect.arrayContaining([]) });
  // The MAC behind an address stands in no table of a host without a store.
  const asked = await trace(
    ...['--port', 'c1', `ip src ${c1.address[4]} dst ${c3.address[4]} tcp dport 80`],
  );
  expect(asked).toMatchObject({
    summary: expect.stringContaining(`ARP who has ${c3.address[4]}, tell ${c1.address[4]}`),
    assumed: [
      `Nobody here knows which MAC ${c3.address[4]} has, so port c1 would ask first: this is the way of its question.`,
      expect.stringContaining('No source MAC was said'),
    ],
    verdict: 'flood',
    copies: expect.arrayContaining([expect.objectContaining({ remote: '10.200.0.2' })]),
  });

  const started = new Date();
  await c3.namespace.ip(`link set dev ${c3.ifname} up`);
  await expectPing(c1, { to: c3.address[4] });
  await vswitchd.learned(c3.mac, { vtep: '10.200.0.2' });
  const after = await trace('--port', 'c1', flow);
  expect(after).toMatchObject({
    verdict: 'to',
    copies: [{ kind: 'tunnel', remote: '10.200.0.2', vni: 256 }],
    sentence: expect.stringMatching(/^It leaves by the tunnel 10\.200\.0\.2:4789: VNI 256/),
  });
  expect(
    await trace('--peer', '10.200.0.2', `ip dst ${c1.address[4]} src ${c3.address[4]}`),
  ).toMatchObject({
    verdict: 'to',
    copies: [{ kind: 'tap', port: 'c1' }],
    summary: expect.stringContaining(
      `${c3.mac} > ${c1.mac}, IPv4 ${c3.address[4]} > ${c1.address[4]}`,
    ),
  });

  const history = await vswitchd.ctl<HistoryView>('history', '--mac', c3.mac);
  expect(history.lines).toMatchObject([
    { kind: 'learned', network: 'net1', port: '10.200.0.2:4789', mac: c3.mac },
  ]);
  expect(history.lines[0]?.sentence).toBe(
    `${c3.mac} was heard for the first time: the FDB has it at VTEP 10.200.0.2:4789.`,
  );
  const at = async (moment: Date) =>
    (await vswitchd.ctl<FdbView[]>('fdb', 'show', 'net1', '--at', moment.toISOString())).map(
      ({ mac }) => mac,
    );
  expect(await at(started)).not.toContain(c3.mac);
  expect(await at(new Date())).toContain(c3.mac);
  const long = await vswitchd.tryCtl('fdb', 'show', '--at', '2020-01-01T00:00:00Z');
  expect(long).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('the past is known from'),
  });
});

test('history follows what happens: a port that goes, a station that is forgotten', async () => {
  await expectPing(c1, { to: c3.address[4] });
  const { next } = await vswitchd.ctl<HistoryView>('history');
  await vswitchd.ctl('fdb', 'flush', 'net1');
  await vswitchd.reload([{ name: 'net1', vni: 256, peers: ['10.200.0.2'], ports: [portOf(c1)] }]);
  await eventually('c2 is gone', async () => {
    const { lines } = await vswitchd.ctl<HistoryView>('history', 'net1');
    const since = lines
      .filter(({ seq }) => seq >= next)
      .map(({ kind, port, mac }) => ({ kind, port, mac }));
    expect(since).toContainEqual({ kind: 'flushed', port: '10.200.0.2:4789', mac: c3.mac });
    expect(since).toContainEqual({ kind: 'portDown', port: 'c2', mac: undefined });
    return true;
  });
  const { stdout } = await vswitchd.tryCtl('history', '--port', 'c2');
  expect(stdout).toMatch(/portDown +net1: Port c2 is gone/);
});
