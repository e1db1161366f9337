/**
 * Superframes and unfilled checksums from neither, one or both ends, on the overlay and on the underlay.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 */

import { beforeAll, describe, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const states = ['on', 'off'];
const combinations = states.flatMap((tx) =>
  states.flatMap((tso) => states.flatMap((gso) => states.map((rx) => ({ tx, tso, gso, rx })))),
);

describe.each(['whole', 'wire'] as const)('underlay of %s packets', (offload) => {
  const scope = fileScope();
  let c1: Container;
  let c2: Container;

  beforeAll(async () => {
    const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'], offload });
    const [one, two] = hosts as [Host, Host];
    c1 = await createContainer(scope, 'c1', 1);
    c2 = await createContainer(scope, 'c2', 2);
    const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
    await kernel.attach(c2);
    await Vswitchd.start(scope, one, {
      networks: [{ name: 'net', vni: 256, peers: [two.address[4]], ports: [portOf(c1)] }],
    });
  });

  test.each(combinations)(
    '[H133] [H150] tx $tx, tso $tso, gso $gso, rx and gro $rx',
    async ({ tx, tso, gso, rx }) => {
      const features = ['tx', tx, 'tso', tso, 'gso', gso, 'rx', rx, 'gro', rx];
      for (const { namespace, ifname } of [c1, c2]) {
        await namespace.exec('ethtool', ['-K', ifname, ...features]);
      }
      await expectTransfer({ from: c1, to: c2, family: 4, bytes: 500_000 });
      await expectTransfer({ from: c2, to: c1, family: 6, bytes: 500_000 });
    },
  );
});
