/** Captures of random content: nothing is thrown, and sums are those of an obvious slow counter. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Analysis } from '../../src/capture/offline/analysis.js';
import { AnyCaptureReader } from '../../src/capture/offline/captureReader.js';
import { type PcapReport, reportOf } from '../../src/capture/offline/report.js';
import { links, onEthernet, pcapBytes, vxlanPacket } from '../support/captureForge.js';
import { ethernet, ipv4, numberedMac, PROTOCOL } from '../support/frames.js';
import { PcapngForge } from '../support/pcapngForge.js';

function reportOn(bytes: Buffer, chunk = 64 * 1024): PcapReport {
  const analysis = new Analysis([4789]);
  const reader = new AnyCaptureReader();
  for (let at = 0; at < bytes.length; at += chunk) {
    for (const item of reader.read(bytes.subarray(at, at + chunk))) analysis.add(item);
  }
  const problem = reader.end();
  if (problem) analysis.add(problem);
  return reportOf(analysis);
}

interface Sent {
  readonly from: number;
  readonly to: number;
  readonly vni: number;
  readonly src: number;
  readonly dst: number;
  readonly length: number;
}

const few = fc.integer({ min: 1, max: 4 });
const sent: fc.Arbitrary<Sent> = fc.record({
  from: few,
  to: few.map((n) => n + 4),
  vni: fc.constantFrom(1, 256, 0xffffff),
  src: few,
  dst: few.map((n) => n + 4),
  length: fc.nat(1400),
});

function packetOf({ from, to, vni, src, dst, length }: Sent): Buffer {
  const ends = { src: '10.0.0.1', dst: '10.0.0.2' };
  const packet = ipv4({ ...ends, protocol: PROTOCOL.tcp }, Buffer.alloc(length, src));
  const frame = ethernet({ src: numberedMac(src), dst: numberedMac(dst) }, packet);
  return vxlanPacket(frame, { from: `10.200.0.${from}`, to: `10.200.0.${to}`, vni });
}

it('sums are those of a slow counter', () => {
  fc.assert(
    fc.property(
      fc.array(sent, { maxLength: 60 }),
      fc.integer({ min: 1, max: 3000 }),
      (all, cut) => {
        const report = reportOn(pcapBytes(all.map((one) => onEthernet(packetOf(one)))), cut);
        expect(report).toMatchObject({ packets: all.length, datagrams: all.length, drops: [] });
        const vnis = [...new Set(all.map(({ vni }) => vni))].sort((a, b) => a - b);
        expect(report.networks.map(({ vni }) => vni)).toEqual(vnis);
        for (const network of report.networks) {
          const mine = all.filter(({ vni }) => vni === network.vni);
          expect(network.frames).toBe(mine.length);
          expect(network.bytes).toBe(mine.reduce((sum, { length }) => sum + 34 + length, 0));
          for (const { from, to, frames } of network.vteps) {
            const same = (one: Sent) =>
              `10.200.0.${one.from}` === from && `10.200.0.${one.to}` === to;
            expect(frames).toBe(mine.filter(same).length);
          }
          for (const { mac, vtep, frames, moves } of network.macs) {
            const its = mine.filter(({ src }) => numberedMac(src) === mac);
            expect(frames).toBe(its.length);
            expect(vtep).toBe(`10.200.0.${its.at(-1)?.from}`);
            expect(moves).toBe(
              its.filter(({ from }, n) => n > 0 && from !== its[n - 1]?.from).length,
            );
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

const forge = new PcapngForge();
const files: readonly Buffer[] = [
  ...links.map(({ linkType, header }) => {
    const packets = [1, 2, 3].map((n) =>
      packetOf({ from: n, to: 4, vni: n, src: n, dst: 5, length: 40 }),
    );
    return pcapBytes(
      packets.map((packet) => Buffer.concat([header(packet), packet])),
      { linkType },
    );
  }),
  Buffer.concat([
    ...[forge.section(), forge.interface('eth0')],
    forge.packet(
      0,
      onEthernet(packetOf({ from: 1, to: 5, vni: 1, src: 1, dst: 5, length: 9 })),
      'drop rx.x: y',
    ),
    forge.statistics(0, { received: 1, lost: 1 }),
  ]),
];

it('whatever is damaged in a capture, it is read to its end or to the damage', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 20 });
  fc.assert(
    fc.property(fc.constantFrom(...files), damage, fc.nat(), (file, changes, length) => {
      const bytes = Buffer.from(file.subarray(0, length % (2 * file.length)));
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      const report = reportOn(bytes, 1 + (length % 700));
      expect(report.packets).toBeLessThan(100);
      JSON.stringify(report);
    }),
    { numRuns: 2000 },
  );
});

it('random bytes as packets of any link give a report', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((raw) => Buffer.from(raw));
  const linkType = fc.constantFrom(...links.map((link) => link.linkType));
  fc.assert(
    fc.property(fc.array(bytes, { maxLength: 20 }), linkType, (packets, type) => {
      const report = reportOn(pcapBytes(packets, { linkType: type }));
      expect(report.packets).toBe(packets.length);
      expect(report.problems).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});

it('random bytes behind UDP give a report', () => {
  const bytes = fc.uint8Array({ maxLength: 120 });
  fc.assert(
    fc.property(fc.array(bytes, { minLength: 1, maxLength: 20 }), (frames) => {
      const packets = frames.map((frame) => onEthernet(vxlanPacket(frame)));
      const report = reportOn(pcapBytes(packets));
      expect(report.datagrams).toBe(frames.length);
      expect(report.networks).toMatchObject([{ vni: 256, frames: frames.length }]);
    }),
    { numRuns: 1000 },
  );
});
