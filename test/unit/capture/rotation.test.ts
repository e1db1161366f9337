import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BLOCK, pcapngBlocks } from '../../../src/capture/pcapngBlocks.js';
import { record } from '../../../src/capture/recording.js';
import { RotatingFiles, type Rotation } from '../../../src/capture/rotation.js';
import { makeFolder } from '../../support/files.js';
import { PcapngForge } from '../../support/pcapngForge.js';
import { testScope } from '../../support/testScope.js';

const forge = new PcapngForge();
const head = [forge.section(), forge.interface('net1/c1')];

/** Block types of each file, such as `S I P P`. */
async function rotated(blocks: readonly Buffer[], rotation: Rotation, name = 'trace.pcapng') {
  const folder = await makeFolder(testScope());
  const target = new RotatingFiles(join(folder, name), rotation);
  // One block a time, and all together: no difference.
  async function* stream() {
    yield Buffer.concat(blocks.slice(0, 5));
    yield* blocks.slice(5);
  }
  const recording = await record(stream(), target, () => {});
  await target.close();
  const files: Record<string, string> = {};
  for (const path of target.files) {
    const found = [...pcapngBlocks(await readFile(path))].map((step) =>
      step.ok ? (LETTERS[step.type] ?? '?') : step.what,
    );
    files[path.slice(folder.length + 1)] = found.join(' ');
  }
  expect((await readdir(folder)).sort()).toEqual(Object.keys(files).sort());
  return { files, recording, folder };
}

const LETTERS: Record<number, string> = {
  [BLOCK.section]: 'S',
  [BLOCK.interface]: 'I',
  [BLOCK.enhancedPacket]: 'P',
  [BLOCK.interfaceStatistics]: 'T',
};

describe('rotation', () => {
  const packet = forge.packet(0, Buffer.alloc(968)); // a block of 1000 bytes
  const size = 28 + 60 + 2 * packet.length;

  it('begins every file with the section and all interfaces so far; the last has the statistics', async () => {
    const blocks = [
      ...head,
      ...[packet, packet, packet],
      forge.interface('net1/c2'),
      ...[packet, packet],
      forge.statistics(0, { received: 9, lost: 4 }),
    ];
    const { files, recording } = await rotated(blocks, { size });
    expect(files).toEqual({
      'trace_00001.pcapng': 'S I P P',
      'trace_00002.pcapng': 'S I P I',
      'trace_00003.pcapng': 'S I I P',
      'trace_00004.pcapng': 'S I I P T',
    });
    expect(recording).toMatchObject({ packets: 5, lost: 4, end: { by: 'stream', whole: true } });
  });

  it('keeps the newest files', async () => {
    const { files } = await rotated([...head, ...Array(9).fill(packet)], { size, files: 2 });
    expect(files).toEqual({ 'trace_00004.pcapng': 'S I P P', 'trace_00005.pcapng': 'S I P' });
  });

  it('gives a packet that is larger than a file one of its own', async () => {
    const large = forge.packet(0, Buffer.alloc(5000));
    const { files } = await rotated([...head, large, large, packet], { size }, 'trace');
    expect(files).toEqual({
      'trace_00001.pcapng': 'S I P',
      'trace_00002.pcapng': 'S I P',
      'trace_00003.pcapng': 'S I P',
    });
  });

  it('makes files no larger than asked, for their owner alone', async () => {
    const { folder } = await rotated([...head, ...Array(50).fill(packet)], { size });
    for (const name of await readdir(folder)) {
      const { size: bytes, mode } = await stat(join(folder, name));
      expect(bytes).toBeLessThanOrEqual(size);
      expect(mode & 0o777).toBe(0o600);
    }
  });

  it('forgets the interfaces of a section that is over', async () => {
    const { files } = await rotated([...head, packet, ...head, packet, packet], { size });
    expect(Object.values(files)).toEqual(['S I P S I', 'S I P P']);
  });
});
