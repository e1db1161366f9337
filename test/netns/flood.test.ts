/**
 * Flooding from host one to everybody, captured where the copies arrive. The other hosts have no overlay end.
 *
 *   c1, c2 ── vswitchd (host one) ══ underlay ══ hosts two, three, four; and a peer that has no route
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST, numberedMac } from '../support/frames.js';
import { isMarked, markedFrame, textOf } from '../support/marked.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Host,
  UNDERLAY_IFNAME,
} from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';
import { sendOverVxlan } from '../support/vxlanForge.js';

const VNI = 256;
/** TEST-NET-3: nobody routes it. */
const NO_ROUTE = '203.0.113.1';
const scope = fileScope();
let one: Host;
let others: readonly Host[];
let c1: Container;
let c2: Container;
let vswitchd: Vswitchd;

beforeAll(async () => {
  // Cut to single datagrams, which is what the captures read.
  const spec = { hosts: ['one', 'two', 'three', 'four'], offload: 'wire' } as const;
  const { hosts } = await createUnderlay(scope, spec);
  [one] = hosts as [Host];
  others = hosts.slice(1);
  c1 = await createContainer(scope, 'c1', 1);
  c2 = await createContainer(scope, 'c2', 2);
  const addresses = others.map((host) => host.address[4]);
  vswitchd = await Vswitchd.start(scope, one, {
    networks: [
      {
        name: 'net',
        vni: VNI,
        // Twice two, and our own address: see J176.
        peers: [NO_ROUTE, ...addresses, addresses[0] as string, one.address[4]],
        ports: [portOf(c1), portOf(c2)],
      },
    ],
  });
});

/** Captures the overlay datagrams from host one on every other host. */
async function watchOthers(): Promise<readonly Capture[]> {
  const filter = `udp and dst port 4789 and src host ${one.address[4]}`;
  const start = ({ namespace }: Host) =>
    Capture.start(testScope(), { namespace, ifname: UNDERLAY_IFNAME }, filter);
  return await Promise.all(others.map(start));
}

/** The marked frames inside the captured datagrams, as text. */
function carried(frames: readonly Buffer[]): readonly string[] {
  return frames
    .map((frame) => frame.subarray(50))
    .filter(isMarked)
    .map(textOf);
}

const carriesFence = (frame: Buffer) => carried([frame]).includes('fence');

test.each([
  { kind: 'broadcast', dst: BROADCAST },
  { kind: 'unknown unicast', dst: numberedMac(99) },
  { kind: 'multicast', dst: '01:00:5e:7f:00:07' },
])(
  '[J173] [J176] [E95] [I172] $kind goes to each VTEP and each other port once, whoever fails',
  async ({ dst }) => {
    const noRoute = await vswitchd.drops('tx.no_route');
    const captures = await watchOthers();
    const local = await Capture.start(testScope(), c2);
    const back = await Capture.start(testScope(), c1);
    await sendFrames(c1, [markedFrame(dst, c1.mac, 'once'), markedFrame(dst, c1.mac, 'fence')]);
    for (const capture of captures) {
      await capture.waitFor(1, carriesFence);
      expect(carried(await capture.frames())).toEqual(['once', 'fence']);
    }
    expect((await local.waitFor(2, isMarked)).map(textOf)).toEqual(['once', 'fence']);
    // What c1 sent is in its own capture, and nothing came back.
    expect((await back.frames()).filter(isMarked)).toHaveLength(2);
    expect(await vswitchd.drops('tx.no_route')).toBeGreaterThanOrEqual(noRoute + 2);
  },
);

test('[J176] our own address among the peers is told', () => {
  expect(vswitchd.log).toContain(`${one.address[4]} is our own VTEP address`);
});

test('[J175] what came from a VTEP goes to local ports only', async () => {
  const [two] = others as [Host];
  const captures = await watchOthers();
  const local = await Capture.start(testScope(), c2);
  await sendOverVxlan({ from: two, to: one, vni: VNI }, [
    markedFrame(BROADCAST, numberedMac(20), 'from two'),
    markedFrame(numberedMac(98), numberedMac(20), 'unknown'),
  ]);
  await local.waitFor(2, isMarked);
  await sendFrames(c1, [markedFrame(BROADCAST, c1.mac, 'fence')]);
  for (const capture of captures) {
    await capture.waitFor(1, carriesFence);
    expect(carried(await capture.frames())).toEqual(['fence']);
  }
});

test('[D75] a frame whose destination is behind the VTEP that sent it is dropped', async () => {
  const [two] = others as [Host];
  const before = await vswitchd.drops('tx.split_horizon');
  const mac = numberedMac(21);
  const envelope = { from: two, to: one, vni: VNI };
  await sendOverVxlan(envelope, [markedFrame(BROADCAST, mac, 'learn me')]);
  await vswitchd.learned(mac, { vtep: two.address[4] });
  await sendOverVxlan(envelope, [markedFrame(mac, numberedMac(22), 'back to you')]);
  await vswitchd.learned(numberedMac(22), { vtep: two.address[4] });
  // The name of the drop is the datapath's choice; that there is exactly one is the row.
  const after = (await vswitchd.drops('tx.split_horizon')) + (await vswitchd.drops('tx.hairpin'));
  expect(after).toBeGreaterThan(before);
});
