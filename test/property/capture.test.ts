// pcapng: however it comes, and whatever comes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ByteOrder,
  type PcapngBlock,
  PcapngReader,
  pcapngBlocks,
  pcapngBlocksFrom,
  pcapngOptions,
} from '../../src/capture/pcapngBlocks.js';
import { PcapngForge } from '../support/pcapngForge.js';

function section(order: ByteOrder, frames: readonly Uint8Array[]): Buffer {
  const by = new PcapngForge(order);
  return Buffer.concat([
    by.section(),
    by.interface('c1'),
    ...frames.map((data) => by.packet(0, data, 'to port c2')),
  ]);
}

const order = fc.constantFrom<ByteOrder>('little', 'big');

describe('pcapng', () => {
  it('has the same blocks however its stream is cut', () =>
    fc.assert(
      fc.asyncProperty(
        order,
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }),
        async (order, frames, cuts) => {
          const bytes = section(order, frames);
          async function* pieces() {
            for (let at = 0, n = 0; at < bytes.length; n += 1) {
              const next = at + (cuts[n % cuts.length] ?? 1);
              yield bytes.subarray(at, next);
              at = next;
            }
          }
          const found: Buffer[] = [];
          for await (const step of pcapngBlocksFrom(pieces())) {
            if (!step.ok) throw new Error(step.what);
            found.push(step.bytes);
          }
          expect(found).toEqual([...pcapngBlocks(bytes)].map((step) => step.ok && step.bytes));
          expect(found).toHaveLength(2 + frames.length);
        },
      ),
    ));

  it('is the same in runs of packets, from memory that is used again', () =>
    fc.assert(
      fc.property(
        order,
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }),
        (order, frames, cuts) => {
          const bytes = Buffer.concat([section(order, frames), section(order, frames)]);
          const reader = new PcapngReader();
          const memory = Buffer.alloc(700);
          const found: Buffer[] = [];
          let packets = 0;
          for (let at = 0, n = 0; at < bytes.length; n += 1) {
            const chunk = bytes.subarray(at, at + (cuts[n % cuts.length] ?? 1));
            chunk.copy(memory.fill(0xff));
            for (const run of reader.readRuns(memory.subarray(0, chunk.length))) {
              if (!run.ok) throw new Error(run.what);
              if (run.type === 'packets') packets += run.packets;
              found.push(Buffer.from(run.bytes));
            }
            at += chunk.length;
          }
          expect([Buffer.concat(found), packets]).toEqual([bytes, 2 * frames.length]);
          expect(reader.held).toBe(0);
        },
      ),
    ));

  it('may be anything: a problem is the last that is read, and what came before it is as it stood', () => {
    const noise = fc.uint8Array({ maxLength: 200 });
    const spoiled = fc
      .tuple(order, noise, fc.nat(), fc.nat({ max: 255 }))
      .map(([order, tail, at, value]) => {
        const bytes = Buffer.concat([section(order, [Buffer.alloc(61)]), tail]);
        bytes[at % bytes.length] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(noise, spoiled), (bytes) => {
        const steps = [...pcapngBlocks(bytes)];
        expect(steps.slice(0, -1).every((step) => step.ok)).toBe(true);
        const blocks = steps.filter((step): step is PcapngBlock => step.ok);
        const read = Buffer.concat(blocks.map((block) => block.bytes));
        expect(read).toEqual(Buffer.from(bytes.subarray(0, read.length)));
        if (read.length < bytes.length) expect(steps.at(-1)?.ok).toBe(false);
        for (const block of blocks) [...pcapngOptions(block, 0)];
      }),
    );
  });
});
