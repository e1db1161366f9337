/** What passes an interface: captured by tcpdump, explained by tshark's dissectors. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Child } from './child.js';
import { eventually } from './eventually.js';
import { type Namespace, temporaryDirectory } from './netns.js';
import { readPcap } from './pcap.js';
import type { Scope } from './scope.js';

/** One decoded packet: the first value of each field that was asked for, '' where it has none. */
export type Decoded<Field extends string> = Readonly<Record<Field, string>>;

export class Capture {
  readonly #file: string;
  readonly #tcpdump: Child;

  private constructor(file: string, tcpdump: Child) {
    this.#file = file;
    this.#tcpdump = tcpdump;
  }

  /** Captures what matches `filter` (pcap-filter syntax); returns when it really listens. */
  static async start(
    scope: Scope,
    where: { readonly namespace: Namespace; readonly ifname: string },
    filter = '',
  ): Promise<Capture> {
    const file = join(await temporaryDirectory(scope, 'capture'), 'capture.pcap');
    // -Z root: the file is ours. -U --immediate-mode: a frame is in the file as soon as it passed.
    // In immediate mode every slot of the ring (-B, KiB) has the size of -s: large ones are few.
    const size = ['-s', `${SNAPLEN}`, '-B', '16384'];
    const args = ['-i', where.ifname, '-w', file, '-Z', 'root', '-U', '--immediate-mode', ...size];
    const tcpdump = await where.namespace.spawn(scope, {
      command: 'tcpdump',
      args: ['-n', ...args, ...filter.split(' ').filter((word) => word !== '')],
    });
    await tcpdump.waitForLine(/listening on/);
    return new Capture(file, tcpdump);
  }

  /** The frames so far, superframes cut short. */
  async frames(): Promise<readonly Buffer[]> {
    return await readPcap(this.#file);
  }

  /** Waits until `count` frames of which `matches` is true have passed, and returns all such. */
  async waitFor(count: number, matches: (frame: Buffer) => boolean): Promise<readonly Buffer[]> {
    return await eventually(`${count} captured frames`, async () => {
      const found = (await this.frames()).filter(matches);
      if (found.length < count) throw new Error(`${found.length} of ${count} frames`);
      return found;
    });
  }

  /** What has passed so far, as tshark sees it. `filter` is a display filter. */
  async decode<Field extends string>(
    fields: readonly Field[],
    filter = '',
  ): Promise<readonly Decoded<Field>[]> {
    return await decodePcap(this.#file, fields, filter);
  }

  async stop(): Promise<void> {
    await this.#tcpdump.stop('SIGINT');
  }

  /** Ends it and forgets what it saw. */
  async discard(): Promise<void> {
    await this.stop();
    await rm(this.#file, { force: true });
  }
}

/** Dissects a pcap file. Checksums are verified, so `*.checksum.status` is 1 (good) or 0 (bad). */
export async function decodePcap<Field extends string>(
  file: string,
  fields: readonly Field[],
  filter = '',
): Promise<readonly Decoded<Field>[]> {
  const { stdout } = await execa('tshark', [
    '-n',
    ...['-r', file],
    // The port that Linux uses unless told otherwise; tshark takes only 4789 for VXLAN.
    ...['-d', 'udp.port==8472,vxlan'],
    ...['ip', 'udp', 'tcp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]),
    ...(filter === '' ? [] : ['-Y', filter]),
    ...['-T', 'fields', '-E', 'occurrence=f', '-E', 'separator=/t'],
    ...fields.flatMap((field) => ['-e', field]),
  ]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const values = line.split('\t');
      return Object.fromEntries(
        fields.map((field, n) => [field, values[n] ?? '']),
      ) as Decoded<Field>;
    });
}

/** More than a frame of this test bed. */
const SNAPLEN = 2048;
