/**
 * VTEPs that cannot be reached, beside one that can: it must not notice.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 *                                        ══ host three, which answers with errors, or is forbidden by a firewall
 *                                        ══ 10.200.0.77, which nobody has
 */

import { beforeAll, expect, test } from 'vitest';
import { allOf, eventually } from '../support/eventually.js';
import { sendFrames } from '../support/forge.js';
import { BROADCAST } from '../support/frames.js';
import { expectIdle } from '../support/idle.js';
import { createKernelPair, type KernelPair } from '../support/kernelPair.js';
import { markedFrame } from '../support/marked.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';

const scope = fileScope();
let pair: KernelPair;

beforeAll(async () => {
  pair = await createKernelPair(scope);
});

/** Floods while traffic with the good VTEP goes on. */
async function floodBesideTraffic(): Promise<void> {
  const { c1, c2 } = pair;
  const flood = Array.from({ length: 200 }, (_, n) => markedFrame(BROADCAST, c1.mac, `flood ${n}`));
  await allOf([
    sendFrames(c1, flood),
    expectPing(c2, { to: c1.address[4], count: 50 }),
    expectTransfer({ from: c1, to: c2, family: 4, bytes: 1_000_000 }),
  ]);
}

test('[E95] no route to a VTEP', async () => {
  await pair.vswitchd.ctl('peer', 'add', 'net', '203.0.113.1');
  await floodBesideTraffic();
  expect(await pair.vswitchd.drops('tx.no_route')).toBeGreaterThanOrEqual(200);
  await pair.vswitchd.ctl('peer', 'rm', 'net', '203.0.113.1');
});

test('[E96] a next hop that does not resolve', async () => {
  await pair.vswitchd.ctl('peer', 'add', 'net', '10.200.0.77');
  await floodBesideTraffic();
  await eventually('the VTEP is known to be unreachable', async () => {
    const { ports } = await pair.vswitchd.network('net');
    const tunnel = ports.find((port) => port.name.startsWith('10.200.0.77'));
    const noRoute = tunnel?.drops.some((drop) => drop.reason === 'tx.no_route');
    return noRoute || (tunnel?.unreachable ?? 0) > 0;
  });
  await pair.vswitchd.ctl('peer', 'rm', 'net', '10.200.0.77');
});

test('a VTEP that answers with errors does not keep the switch busy', async () => {
  const { three, vswitchd } = pair;
  await vswitchd.ctl('peer', 'add', 'net', three.address[4]);
  await floodBesideTraffic();
  const { ports } = await vswitchd.network('net');
  const tunnel = ports.find((port) => port.name.startsWith(three.address[4]));
  expect(tunnel?.unreachable).toBeGreaterThan(0);
  await expectIdle(vswitchd);
  await vswitchd.ctl('peer', 'rm', 'net', three.address[4]);
});

test('[E98] the local firewall refuses a VTEP', async () => {
  const rules = `
    table ip firewall {
      chain output {
        type filter hook output priority 0;
        ip daddr ${pair.three.address[4]} udp dport 4789 drop
      }
    }`;
  await pair.one.namespace.exec('nft', ['-f', '-'], { input: rules });
  await pair.vswitchd.ctl('peer', 'add', 'net', pair.three.address[4]);
  await floodBesideTraffic();
  expect(await pair.vswitchd.drops('tx.eperm')).toBeGreaterThanOrEqual(200);
  await pair.vswitchd.ctl('peer', 'rm', 'net', pair.three.address[4]);
});
