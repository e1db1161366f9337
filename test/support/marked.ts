/** Frames that no network stack sends or answers, each with a text to know it by. */

import { ETHERTYPE, ethernet } from './frames.js';

export function markedFrame(dst: string, src: string, text: string): Buffer {
  return ethernet({ dst, src, type: ETHERTYPE.experimental }, Buffer.from(text.padEnd(50)));
}

export function isMarked(frame: Buffer): boolean {
  return frame.readUInt16BE(12) === ETHERTYPE.experimental;
}

/** The text of a marked frame. */
export function textOf(frame: Buffer): string {
  return frame.subarray(14).toString().trimEnd();
}
