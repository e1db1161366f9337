/** pcapng by hand, block by block, in either byte order: what a datapath or another program may write. */

import { BLOCK, type ByteOrder, padded } from '../../src/capture/pcapngBlocks.js';

export interface ForgedOption {
  readonly code: number;
  readonly value: Uint8Array;
}

export class PcapngForge {
  readonly #order: ByteOrder;

  constructor(order: ByteOrder = 'little') {
    this.#order = order;
  }

  /** Any block; `body` is padded. */
  block(type: number, body: Uint8Array): Buffer {
    const length = 12 + padded(body.length);
    return Buffer.concat([
      this.u32(type, length),
      body,
      Buffer.alloc(padded(body.length) - body.length),
      this.u32(length),
    ]);
  }

  /** Version 1.0, of unknown length. */
  section(): Buffer {
    return this.block(
      BLOCK.section,
      Buffer.concat([this.u32(0x1a2b3c4d), this.u16(1, 0), Buffer.alloc(8, 0xff)]),
    );
  }

  /** Ethernet, with nanoseconds. */
  interface(name: string, snaplen = 262_144): Buffer {
    return this.block(
      BLOCK.interface,
      Buffer.concat([
        this.u16(1, 0),
        this.u32(snaplen),
        this.options([
          { code: 2, value: Buffer.from(name) },
          { code: 9, value: Buffer.of(9) },
        ]),
      ]),
    );
  }

  packet(interfaceId: number, data: Uint8Array, comment?: string): Buffer {
    const comments = comment === undefined ? [] : [{ code: 1, value: Buffer.from(comment) }];
    return this.block(
      BLOCK.enhancedPacket,
      Buffer.concat([
        this.u32(interfaceId, 0, 0, data.length, data.length),
        data,
        Buffer.alloc(padded(data.length) - data.length),
        this.options(comments),
      ]),
    );
  }

  /** isb_ifrecv and isb_usrdeliv = `received`, isb_ifdrop = `lost`. */
  statistics(interfaceId: number, { received = 0, lost = 0 } = {}): Buffer {
    const options = [
      { code: 4, value: this.u64(received) },
      { code: 5, value: this.u64(lost) },
    ];
    return this.block(
      BLOCK.interfaceStatistics,
      Buffer.concat([this.u32(interfaceId, 0, 0), this.options(options)]),
    );
  }

  options(options: readonly ForgedOption[]): Buffer {
    if (options.length === 0) return Buffer.alloc(0);
    const all = options.flatMap(({ code, value }) => [
      this.u16(code, value.length),
      value,
      Buffer.alloc(padded(value.length) - value.length),
    ]);
    return Buffer.concat([...all, this.u16(0, 0)]);
  }

  u16(...values: number[]): Buffer {
    const bytes = Buffer.alloc(2 * values.length);
    for (const [n, value] of values.entries()) {
      if (this.#order === 'little') bytes.writeUInt16LE(value, 2 * n);
      else bytes.writeUInt16BE(value, 2 * n);
    }
    return bytes;
  }

  u32(...values: number[]): Buffer {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [n, value] of values.entries()) {
      if (this.#order === 'little') bytes.writeUInt32LE(value, 4 * n);
      else bytes.writeUInt32BE(value, 4 * n);
    }
    return bytes;
  }

  u64(value: number): Buffer {
    const bytes = Buffer.alloc(8);
    if (this.#order === 'little') bytes.writeBigUInt64LE(BigInt(value));
    else bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  }
}
