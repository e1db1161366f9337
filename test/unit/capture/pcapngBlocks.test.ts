import { describe, expect, it } from 'vitest';
import {
  BLOCK,
  type ByteOrder,
  MAX_BLOCK,
  PcapngReader,
  type PcapngStep,
  pcapngBlocks,
  pcapngOptions,
} from '../../../src/capture/pcapngBlocks.js';
import { PcapngForge } from '../../support/pcapngForge.js';

const orders: ByteOrder[] = ['little', 'big'];
const forge = new PcapngForge();
const frame = Buffer.alloc(61, 7);

function types(steps: Iterable<PcapngStep>): (number | string)[] {
  return [...steps].map((step) => (step.ok ? step.type : `${step.at}: ${step.what}`));
}

function small(order: ByteOrder): Buffer {
  const by = new PcapngForge(order);
  return Buffer.concat([by.section(), by.interface('c1'), by.packet(0, frame, 'to port c2')]);
}

describe.each(orders)('a section in %s endian', (order) => {
  it('is given block by block, whole', () => {
    const bytes = small(order);
    const steps = [...pcapngBlocks(bytes)];
    expect(types(steps)).toEqual([BLOCK.section, BLOCK.interface, BLOCK.enhancedPacket]);
    const blocks = steps.filter((step) => step.ok);
    expect(Buffer.concat(blocks.map((block) => block.bytes))).toEqual(bytes);
    expect(blocks.every((block) => block.order === order)).toBe(true);
  });

  it('has options', () => {
    const [, described] = [...pcapngBlocks(small(order))];
    if (!described?.ok) throw new Error('no interface');
    expect([...pcapngOptions(described, 8)]).toEqual([
      { code: 2, value: Buffer.from('c1') },
      { code: 9, value: Buffer.of(9) },
    ]);
  });
});

it('sections of both orders may follow each other', () => {
  const bytes = Buffer.concat([small('little'), small('big')]);
  const blocks = [...pcapngBlocks(bytes)].filter((step) => step.ok);
  expect(blocks.map(({ order }) => order[0]).join('')).toBe('lllbbb');
});

describe('what is wrong is said, with its place', () => {
  const section = forge.section();
  const huge = Buffer.concat([forge.u32(6, MAX_BLOCK + 4)]);
  const uneven = Buffer.concat([forge.u32(6, 13), Buffer.alloc(8)]);
  const differing = forge.packet(0, frame);
  differing.writeUInt32LE(8, differing.length - 4);
  const strange = forge.section();
  strange.fill(0, 8, 12);
  it.each([
    [Buffer.alloc(0), '0: is empty'],
    [small('little').subarray(0, 30), '28: ends within a block'],
    [Buffer.from('no capture at all'), '0: does not begin with a section header: it is no pcapng'],
    [Buffer.concat([section, huge]), '28: has a block of 16777220 bytes, more than is read'],
    [Buffer.concat([section, uneven]), '28: has a block of the impossible length 13'],
    [Buffer.concat([section, differing]), '28: has a block whose two lengths differ'],
    [strange, '0: has a section of unknown byte order'],
  ])('%#', (bytes, what) => {
    expect(types(pcapngBlocks(bytes)).at(-1)).toBe(what);
  });

  it('and nothing is read after that', () => {
    const reader = new PcapngReader();
    expect([...reader.read(Buffer.from('no capture'))]).toHaveLength(1);
    expect([...reader.read(small('little'))]).toEqual([]);
    expect(reader.end()).toBeUndefined();
    expect(reader.held).toBe(0);
  });
});

it('who stops in the middle of a chunk goes on with the next', () => {
  const reader = new PcapngReader();
  for (const step of reader.read(small('little'))) {
    expect(step).toMatchObject({ type: BLOCK.section });
    break;
  }
  expect(types(reader.read(Buffer.alloc(0)))).toEqual([BLOCK.interface, BLOCK.enhancedPacket]);
});

it('options that do not fit end the list', () => {
  const long = Buffer.concat([forge.u32(1, 0), forge.u16(2, 60_000), Buffer.from('name')]);
  const [, block] = [
    ...pcapngBlocks(Buffer.concat([forge.section(), forge.block(BLOCK.interface, long)])),
  ];
  if (!block?.ok) throw new Error('no block');
  expect([...pcapngOptions(block, 8)]).toEqual([]);
});
