/**
 * What every pair of overlay ends must do, whoever the other end is.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ other end (host two) ── c2
 *                                                                  └─ c3, which moves
 */

import { beforeAll, expect, test } from 'vitest';
import { Capture } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST } from '../support/frames.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { isMarked, markedFrame, textOf } from '../support/marked.js';
import { createOvs } from '../support/ovs.js';
import { expectPing } from '../support/ping.js';
import type { Scope } from '../support/scope.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import {
  type Container,
  createContainer,
  createUnderlay,
  type Family,
  type Host,
  overhead,
} from '../support/topology.js';
import { portArguments, portOf, Vswitchd } from '../support/vswitchd.js';

export interface InteropSpec {
  /** Who is at the other end. */
  readonly peer: 'vswitchd' | 'kernel' | 'ovs';
  /** Of the underlay. */
  readonly family: Family;
  /** UDP checksums on the way to us; ours are always on. */
  readonly peerChecksum?: boolean;
  /** Open vSwitch only: how its tunnel port knows its remote. */
  readonly remote?: 'fixed' | 'flow';
}

/** Declares the tests; call it inside a `describe`. */
export function interop(spec: InteropSpec): void {
  const scope = fileScope();
  const mtu = 1500 - overhead(spec.family);
  let one: Host;
  let c1: Container;
  let c2: Container;
  let c3: Container;
  let vswitchd: Vswitchd;
  let far: OtherEnd;

  beforeAll(async () => {
    const offload = spec.peer === 'ovs' ? 'wire' : 'whole';
    const underlay = await createUnderlay(scope, { hosts: ['one', 'two'], offload });
    const [first, second] = underlay.hosts;
    if (!first || !second) throw new Error('two hosts');
    one = first;
    c1 = await createContainer(scope, 'c1', 1);
    c2 = await createContainer(scope, 'c2', 2);
    c3 = await createContainer(scope, 'c3', 3);
    vswitchd = await Vswitchd.start(scope, one, {
      family: spec.family,
      networks: [
        { name: 'net', vni: VNI, peers: [second.address[spec.family]], ports: [portOf(c1)] },
      ],
    });
    far = await createOtherEnd(scope, spec, { host: second, peer: one });
    await far.attach(c2);
    await far.attach(c3);
  });

  test('ARP from cold, then ping of every size up to the MTU, both ways', async () => {
    for (const size of [0, 1, 56, 1000, mtu - 28]) {
      await expectPing(c1, { to: c2.address[4], size });
      await expectPing(c2, { to: c1.address[4], size });
    }
  });

  test('neighbour discovery from cold, then ping6 of every size up to the MTU, both ways', async () => {
    for (const size of [0, 1, 56, 1000, mtu - 48]) {
      await expectPing(c1, { to: c2.address[6], size });
      await expectPing(c2, { to: c1.address[6], size });
    }
  });

  // The trap of this test bed and of every machine with two containers: superframes and checksums that
  // nobody filled in cross the veth as they are.
  test.each([
    { family: 4, from: 'c1' },
    { family: 4, from: 'c2' },
    { family: 6, from: 'c1' },
    { family: 6, from: 'c2' },
  ] as const)(
    'TCP over IPv$family opened by $from keeps every byte in both directions',
    async (row) => {
      const [from, to] = row.from === 'c1' ? [c1, c2] : [c2, c1];
      await expectTransfer({ from, to, family: row.family, bytes: 4_000_000 });
    },
  );

  test('UDP keeps every datagram, over many flows', async () => {
    await expectUdpEcho({ from: c1, to: c2, family: 4 }, { flows: 10, count: 3, size: 1200 });
    await expectUdpEcho({ from: c2, to: c1, family: 6 }, { flows: 10, count: 3, size: 1200 });
  });

  test.each([
    { kind: 'broadcast', dst: BROADCAST },
    { kind: 'multicast', dst: '01:00:5e:7f:00:01' },
    { kind: 'unknown unicast', dst: '02:00:00:00:99:99' },
  ])(
    '[I161] [I162] [I172] $kind arrives exactly once and unchanged, both ways',
    async ({ dst }) => {
      for (const [from, to] of [
        [c1, c2],
        [c2, c1],
      ] as const) {
        const frame = markedFrame(dst, from.mac, `${dst} from ${from.name}`);
        const capture = await Capture.start(testScope(), to);
        await sendFrames(from, [frame]);
        await expectPing(from, { to: to.address[4] }); // what would come twice has come by now
        const found = await capture.waitFor(1, isMarked);
        expect(found.map((bytes) => bytes.toString('hex'))).toEqual([frame.toString('hex')]);
      }
    },
  );

  test('[I171] frames of one flow keep their order, both ways', async () => {
    for (const [from, to] of [
      [c1, c2],
      [c2, c1],
    ] as const) {
      const frames = Array.from({ length: 400 }, (_, n) =>
        markedFrame(to.mac, from.mac, `${from.name} ${n}`),
      );
      const capture = await Capture.start(testScope(), to);
      await sendFrames(from, frames);
      const last = (frame: Buffer) => isMarked(frame) && textOf(frame) === `${from.name} 399`;
      await eventually('the last frame', async () => {
        // Queues on the way may be too short for a burst; only order is promised.
        await sendFrames(from, frames.slice(-1));
        return (await capture.frames()).some(last);
      });
      const numbers = (await capture.frames())
        .filter(isMarked)
        .map((frame) => Number(textOf(frame).split(' ')[1]));
      expect(numbers.length).toBeGreaterThan(100);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    }
  });

  test('[D54] [D56] both ends are learned, and a MAC that moves is followed at once', async () => {
    await expectPing(c1, { to: c3.address[4] });
    await vswitchd.learned(c1.mac, { port: 'c1' });
    await vswitchd.learned(c2.mac, { vtep: twoAddress() });
    await vswitchd.learned(c3.mac, { vtep: twoAddress() });

    await far.detach(c3);
    await vswitchd.ctl('port', 'add', 'net', ...portArguments(c3));
    await expectPing(c3, { to: c1.address[4] });
    await vswitchd.learned(c3.mac, { port: 'c3' });
    await expectPing(c3, { to: c2.address[4] });
    await expectPing(c2, { to: c3.address[6] });
  });

  function twoAddress(): string {
    return spec.family === 4 ? '10.200.0.2' : 'fd00:200::2';
  }
}

interface OtherEnd {
  attach(container: Container): Promise<void>;
  /** Takes the container's interface away. */
  detach(container: Container): Promise<void>;
}

async function createOtherEnd(
  scope: Scope,
  spec: InteropSpec,
  { host, peer }: { host: Host; peer: Host },
): Promise<OtherEnd> {
  const { family } = spec;
  const peers = [peer.address[family]];
  const checksum = spec.peerChecksum === undefined ? {} : { udpChecksum: spec.peerChecksum };
  const remote = spec.remote === undefined ? {} : { remote: spec.remote };
  const common = { vni: VNI, family, peers, ...checksum };
  if (spec.peer === 'kernel') {
    return await createKernelVxlan(host, common);
  }
  if (spec.peer === 'ovs') {
    return await createOvs(scope, host, { ...common, ...remote });
  }
  const networks = [{ name: 'net', vni: VNI, peers }];
  const vswitchd = await Vswitchd.start(scope, host, { family, networks });
  return {
    attach: (container) => vswitchd.ctl('port', 'add', 'net', ...portArguments(container)),
    detach: (container) => vswitchd.ctl('port', 'rm', container.name),
  };
}

const VNI = 256;
