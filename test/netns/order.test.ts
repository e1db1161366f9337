/**
 * No flow is disordered, however many workers there are.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ vswitchd, or kernel vxlan (host two) ── c2
 */

import { beforeAll, describe, expect, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { expectPing } from '../support/ping.js';
import { sendSequences } from '../support/sequence.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';

const FLOWS = { flows: 32, count: 800, size: 200 };

describe.each([
  { workers: 1, underlay: 'udp' },
  { workers: 2, underlay: 'udp' },
  { workers: 4, underlay: 'udp' },
  { workers: 4, underlay: 'ring' },
  { workers: 4, underlay: 'tunnel-gso' },
] as const)('$workers workers, underlay $underlay', (datapath) => {
  describe.each(['vswitchd', 'kernel'] as const)('with %s at the other end', (peer) => {
    const scope = fileScope();
    let c1: Container;
    let c2: Container;

    beforeAll(async () => {
      const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
      const [one, two] = hosts as [Host, Host];
      c1 = await createContainer(scope, 'c1', 1);
      c2 = await createContainer(scope, 'c2', 2);
      const start = (host: Host, other: Host, container: Container) =>
        Vswitchd.start(scope, host, {
          datapath,
          networks: [
            { name: 'net', vni: 256, peers: [other.address[4]], ports: [portOf(container)] },
          ],
        });
      await start(one, two, c1);
      if (peer === 'vswitchd') {
        await start(two, one, c2);
      } else {
        const spec = { vni: 256, family: 4, peers: [one.address[4]] } as const;
        await (await createKernelVxlan(two, spec)).attach(c2);
      }
      await expectPing(c1, { to: c2.address[4] });
    });

    test.each(['there', 'back'])(
      '[I171] %s: every UDP flow arrives in order, beside TCP',
      async (way) => {
        const [from, to] = way === 'there' ? [c1, c2] : [c2, c1];
        const [report] = await Promise.all([
          sendSequences({ from, to }, FLOWS),
          expectTransfer({ from, to, family: 4, bytes: 8_000_000 }),
        ]);
        expect(report).toMatchObject({ disordered: 0, repeated: 0 });
        expect(report.received).toBeGreaterThan(report.sent / 2);
      },
    );
  });
});
