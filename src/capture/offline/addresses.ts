// Addresses of packets as text. Few different ones come often, so the last ones are remembered.

import { fromNumber } from '../../model/ip.js';

export class AddressNames {
  readonly #known = new Map<number | string, string>();

  /** Canonical text of 4 or 16 bytes. */
  of(bytes: Buffer): string {
    const key = bytes.length === 4 ? bytes.readUInt32BE(0) : bytes.toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    // Whoever forges addresses shall not fill the memory.
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    const text =
      bytes.length === 4 ? bytes.join('.') : fromNumber(BigInt(`0x${bytes.toString('hex')}`), 6);
    this.#known.set(key, text);
    return text;
  }
}

export function macText(mac: number): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/(..)(?=.)/g, '$1:');
}

const REMEMBERED = 65_536;
