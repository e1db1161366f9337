/** The classic pcap file format, link type Ethernet, microseconds, native to this test bed's tools. */

import { readFile, writeFile } from 'node:fs/promises';

/** Writes frames as a pcap file; their times count up from 0, one microsecond each. */
export async function writePcap(path: string, frames: readonly Uint8Array[]): Promise<void> {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt16LE(2, 4); // version 2.4
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(SNAPLEN, 16);
  head.writeUInt32LE(LINKTYPE_ETHERNET, 20);
  const records = frames.flatMap((frame, n) => {
    const record = Buffer.alloc(16);
    record.writeUInt32LE(Math.floor(n / 1e6), 0);
    record.writeUInt32LE(n % 1e6, 4);
    record.writeUInt32LE(frame.length, 8);
    record.writeUInt32LE(frame.length, 12);
    return [record, frame];
  });
  await writeFile(path, Buffer.concat([head, ...records]));
}

/** Reads the complete frames of a pcap file; a record that is still being written is left out. */
export async function readPcap(path: string): Promise<readonly Buffer[]> {
  const bytes = await readFile(path);
  if (bytes.length < 24) return [];
  if (bytes.readUInt32LE(0) !== MAGIC) throw new Error(`${path} is no little-endian pcap file`);
  const frames: Buffer[] = [];
  for (let at = 24; at + 16 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    if (at + 16 + length > bytes.length) break;
    frames.push(bytes.subarray(at + 16, at + 16 + length));
    at += 16 + length;
  }
  return frames;
}

const MAGIC = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const SNAPLEN = 262_144;
