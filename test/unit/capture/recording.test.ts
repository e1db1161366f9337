import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import {
  BlockStream,
  type BlockTarget,
  openTarget,
  targetOfOutput,
} from '../../../src/capture/blockTarget.js';
import { pcapngBlocks } from '../../../src/capture/pcapngBlocks.js';
import { record } from '../../../src/capture/recording.js';
import { makeFolder } from '../../support/files.js';
import { PcapngForge } from '../../support/pcapngForge.js';
import { testScope } from '../../support/testScope.js';

const forge = new PcapngForge();
const head = Buffer.concat([forge.section(), forge.interface('net1/c1')]);
const packet = forge.packet(0, Buffer.alloc(100), 'flood');
const statistics = forge.statistics(0, { received: 3, lost: 1 });

async function* streamOf(...chunks: readonly Uint8Array[]) {
  yield* chunks;
}

/** What was written. */
function collecting(): { readonly target: BlockTarget; readonly bytes: () => Buffer } {
  const chunks: Buffer[] = [];
  const stream = new PassThrough().on('data', (chunk) => chunks.push(chunk));
  return { target: targetOfOutput(stream), bytes: () => Buffer.concat(chunks) };
}

describe('a recording', () => {
  it('is the stream, byte by byte, and says what was in it', async () => {
    const whole = Buffer.concat([head, packet, packet, statistics]);
    const { target, bytes } = collecting();
    let begun = 0;
    const stream = streamOf(whole.subarray(0, 50), whole.subarray(50));
    const recording = await record(stream, target, () => {
      begun += 1;
    });
    expect(recording).toEqual({
      ...{ packets: 2, lost: 1, bytes: whole.length },
      end: { by: 'stream', whole: true },
    });
    expect([bytes(), begun]).toEqual([whole, 1]);
  });

  it('of a daemon that dies is whole up to the last packet, and known to be cut short', async () => {
    const { target, bytes } = collecting();
    async function* dying() {
      yield Buffer.concat([head, packet, packet.subarray(0, 30)]);
      throw new Error('ECONNRESET');
    }
    const recording = await record(dying(), target, () => {});
    expect(recording.end).toEqual({ by: 'stream', whole: false });
    expect(bytes()).toEqual(Buffer.concat([head, packet]));
  });

  it('without any packet needs no statistics', async () => {
    const { end } = await record(streamOf(head), collecting().target, () => {});
    expect(end).toEqual({ by: 'stream', whole: true });
  });

  it('keeps what came before nonsense', async () => {
    const { target, bytes } = collecting();
    const chunk = Buffer.concat([head, packet, Buffer.alloc(64, 0xff)]);
    const { end } = await record(streamOf(chunk), target, () => {});
    expect(end).toMatchObject({ by: 'failure', error: { code: 'INTERNAL' } });
    expect(bytes()).toEqual(Buffer.concat([head, packet]));
  });

  it('reads no more than its target takes', async () => {
    let given = 0;
    async function* endless() {
      yield head;
      for (;;) {
        given += 1;
        yield packet;
      }
    }
    const stalled = new Writable({ write: () => {} });
    void record(endless(), targetOfOutput(stalled), () => {});
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(given).toBe(0);
  });

  it('ends in peace when nobody reads any more', async () => {
    const gone = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error(), { code: 'EPIPE' })),
    });
    const { end } = await record(streamOf(head), new BlockStream('x', gone, false), () => {});
    expect(end).toEqual({ by: 'reader' });
  });
});

describe('a target', () => {
  it('that is full says so', async () => {
    const target = await openTarget('/dev/full');
    const { end, packets } = await record(streamOf(head, packet), target, () => {});
    await target.close();
    expect(packets).toBe(0);
    expect(end).toMatchObject({
      error: {
        code: 'CAPTURE_UNWRITABLE',
        message: expect.stringMatching(/to \/dev\/full: .*write: ENOSPC/),
      },
    });
  });

  it('that cannot be made says so', async () => {
    const folder = await makeFolder(testScope());
    await expect(openTarget(join(folder, 'no', 'file'))).rejects.toMatchObject({
      message: expect.stringContaining('open: ENOENT'),
    });
  });

  it('that exists is emptied', async () => {
    const path = join(await makeFolder(testScope()), 'file');
    for (const chunks of [[head, packet, packet], [head]]) {
      const target = await openTarget(path);
      await record(streamOf(...chunks), target, () => {});
      await target.close();
      expect(target.files).toEqual([path]);
    }
    expect(await readFile(path)).toEqual(head);
  });

  it('may be a named pipe, whose reader is awaited, and may go', async () => {
    const path = join(await makeFolder(testScope()), 'pipe');
    execFileSync('mkfifo', [path]);
    const reader = spawn('head', ['-c', `${head.length}`, path]);
    const read: Buffer[] = [];
    reader.stdout.on('data', (chunk) => read.push(chunk));
    const ended = once(reader, 'close');
    const target = await openTarget(path);
    const blocks = [...pcapngBlocks(head)].filter((step) => step.ok);
    expect(await target.write(blocks)).toBe(true);
    await ended;
    expect(Buffer.concat(read)).toEqual(head);
    expect(await target.write(blocks)).toBe(false);
    await target.close();
    await target.close();
  });
});
