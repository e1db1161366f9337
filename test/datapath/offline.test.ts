/** `vswitchctl pcap` says of a datagram what the switch does with it, in the switch's own words. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Analysis } from '../../src/capture/offline/analysis.js';
import { AnyCaptureReader } from '../../src/capture/offline/captureReader.js';
import { reportOf } from '../../src/capture/offline/report.js';
import { offlineReasons } from '../../src/model/dropReasons.js';
import { onEthernet, pcapBytes, udpPacket } from '../support/captureForge.js';
import { BROADCAST, ETHERTYPE, ethernet, numberedMac, vxlan } from '../support/frames.js';
import { testScope } from '../support/testScope.js';
import { desired, network, OWN, PEER, port, tunnel } from './desired.js';
import { addon, datagram, droppedFor, MemorySwitch } from './memorySwitch.js';

const ZERO = '00:00:00:00:00:00';
const macs = fc.constantFrom(numberedMac(1), numberedMac(2), BROADCAST, ZERO, '01:80:c2:00:00:01');
const tag = fc.record({ vid: fc.constantFrom(0, 7), tpid: fc.constantFrom(0x8100, 0x88a8) });
const frame = fc
  .record({
    src: macs,
    dst: macs,
    type: fc.constantFrom(ETHERTYPE.ipv4, ETHERTYPE.ipv6, ETHERTYPE.arp, ETHERTYPE.vlan),
    tags: fc.array(tag, { maxLength: 3 }),
    first: fc.constantFrom(0x45, 0x46, 0x44, 0x60, 0),
    rest: fc.uint8Array({ maxLength: 50 }),
    length: fc.option(fc.nat(30), { nil: undefined }),
  })
  .map(({ first, rest, length, ...head }) => {
    const payload = Buffer.from([first, ...rest]);
    return ethernet(head, payload).subarray(0, length);
  });
const payload = fc
  .record({ flags: fc.constantFrom(0x08, 0x00, 0xf0, 0x8b), frame, length: fc.nat(80) })
  .map(({ flags, frame: inside, length }) =>
    // Short ones are the exception.
    vxlan({ vni: 256, flags }, inside).subarray(0, length < 12 ? length : undefined),
  );
const source = fc.constantFrom(PEER, PEER, PEER, '127.0.0.1', '0.0.0.0', '224.0.0.1');

it('a datagram is dropped for the reason that is told of its capture', async () => {
  // What is a network's choice is left open here, for a capture does not tell it.
  const open = { innerVlan: 'allow', groupForwardMask: 0xfff8, openPeers: true } as const;
  const net = network('net', 256, { ...open, ports: [port('c1')], tunnels: [tunnel(PEER, 256)] });
  const running = await MemorySwitch.running(testScope(), desired(net));
  let before = droppedFor(await running.settled());
  const property = fc.asyncProperty(payload, source, fc.nat(3), async (bytes, from, tos) => {
    const sent = { ...datagram(Buffer.alloc(0), { from, tos }), payload: bytes };
    const after = droppedFor(await running.arrive(sent));
    const reasons = Object.keys(after).filter((reason) => after[reason] !== before[reason]);
    before = after;
    const packet = udpPacket(bytes, { from, to: OWN, tos });
    const told = reportOn(pcapBytes([onEthernet(packet)])).drops.map(({ reason }) => reason);
    expect(told).toEqual(reasons.filter((reason) => reason in offlineReasons));
  });
  await fc.assert(property, { numRuns: 500 });
});

it('has the sentences of the datapath', () => {
  const sentences = new Map(addon.dropReasons().map(({ name, sentence }) => [name, sentence]));
  for (const [reason, sentence] of Object.entries(offlineReasons)) {
    expect([reason, sentence]).toEqual([reason, sentences.get(reason)]);
  }
});

function reportOn(bytes: Buffer) {
  const analysis = new Analysis([4789]);
  for (const item of new AnyCaptureReader().read(bytes)) analysis.add(item);
  return reportOf(analysis);
}
