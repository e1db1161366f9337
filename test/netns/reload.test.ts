/**
 * A new configuration under traffic.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2      network net
 *   c3 ──┘                                                                      network side
 */

import { writeFile } from 'node:fs/promises';
import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST } from '../support/frames.js';
import { createKernelPair, type KernelPair } from '../support/kernelPair.js';
import { isMarked, markedFrame } from '../support/marked.js';
import { ping } from '../support/ping.js';
import { openStream } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, UNDERLAY_IFNAME } from '../support/topology.js';
import { type NetworkConfig, portOf } from '../support/vswitchd.js';

const scope = fileScope();
let pair: KernelPair;
let c3: Container;
let side: NetworkConfig;

beforeAll(async () => {
  pair = await createKernelPair(scope);
  c3 = await createContainer(scope, 'c3', 3);
  side = { name: 'side', vni: 300, peers: [pair.two.address[4]], ports: [portOf(c3)] };
});

/** Sums that may only grow. */
async function sums(): Promise<ReadonlyMap<string, number>> {
  const { underlay, networks } = await pair.vswitchd.counters();
  const net = networks.find((network) => network.name === 'net');
  return new Map([
    ['datagrams', underlay.datagrams],
    ['unicast', net?.unicast ?? 0],
    ...(net?.ports ?? []).flatMap((port): [string, number][] => [
      [`${port.name} in`, port.rx_frames],
      [`${port.name} out`, port.tx_frames],
    ]),
  ]);
}

/** Nothing may get lost between c1 and c2 while `change` happens. */
async function lossless(change: () => Promise<void>): Promise<void> {
  const { c1, c2, vswitchd } = pair;
  const stream = await openStream(testScope(), { from: c1, to: c2, family: 4 });
  const entry = async () => (await vswitchd.fdb('net')).find((item) => item.mac === c2.mac);
  const before = await sums();
  const pings = ping(c2, { to: c1.address[4], count: 150 });
  await change();
  // The entry is still there before anything could have taught it anew.
  expect((await entry())?.vtep).toBe(pair.two.address[4]);
  const after = await sums();
  for (const [what, sum] of before) {
    // A port that the change removed has no counters any more.
    expect(after.get(what) ?? sum, what).toBeGreaterThanOrEqual(sum);
  }
  const { sent, received } = await pings;
  expect(received).toBe(sent);
  await stream.goesOn();
  await stream.finish();
}

test('[N241] an invalid file is refused with every problem, and the old configuration goes on', async () => {
  const { vswitchd } = pair;
  await lossless(async () => {
    await writeFile(
      vswitchd.configFile,
      'vtep: {address: 10.200.0.1}\nnetworks: [{name: net, vni: 16777216, prots: []}]\n',
    );
    const { exitCode, stderr } = await vswitchd.tryCtl('reload');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('networks[0].vni');
    expect(stderr).toContain('ports');
    vswitchd.child.signal('SIGHUP');
    await vswitchd.child.waitForLine(/networks\[0\]\.vni/);
  });
});

test('[N242] [O253] a reload that adds and removes a port loses nothing on another', async () => {
  const { vswitchd, network } = pair;
  const two = { ...network, ports: [...(network.ports ?? []), portOf(c3)] };
  await lossless(() => vswitchd.reload([two]));
  expect(await c3.namespace.ipJson('link', 'show', 'eth0')).toHaveLength(1);
  await lossless(() => vswitchd.reload([network]));
  expect((await c3.namespace.tryExec('ip', ['link', 'show', 'eth0'])).exitCode).not.toBe(0);
});

test('[N243] a reload that changes VNI or UDP port of a network resets that network only', async () => {
  const { vswitchd, network } = pair;
  await vswitchd.reload([network, side]);
  for (const changed of [
    { ...side, vni: 301 },
    { ...side, vni: 301, port: 4790 },
  ]) {
    await lossless(() => vswitchd.reload([network, changed]));
    const datagram = await floodedBy(c3, `udp and dst port ${changed.port ?? 4789}`);
    expect(datagram.readUIntBE(46, 3)).toBe(changed.vni);
  }
  await vswitchd.reload([network]);
});

/** Lets the container broadcast and returns the datagram that host two gets. */
async function floodedBy(container: Container, filter: string): Promise<Buffer> {
  const where = { namespace: pair.two.namespace, ifname: UNDERLAY_IFNAME };
  const capture = await Capture.start(testScope(), where, filter);
  await sendFrames(container, [markedFrame(BROADCAST, container.mac, 'flooded')]);
  const [datagram] = await capture.waitFor(1, (frame) => isMarked(frame.subarray(50)));
  return datagram as Buffer;
}
