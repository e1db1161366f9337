/** The reader of a capture: what the datapath writes goes to a file, and tshark says what is in it. */

import { createWriteStream } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { execa } from 'execa';
import type { Datapath } from '../../src/datapath/datapath.js';
import type { CaptureSpec, CaptureStatus } from '../../src/datapath/seam.js';
import { eventually } from '../support/eventually.js';
import { makeFolder } from '../support/files.js';
import type { Scope } from '../support/scope.js';

/** One packet as tshark sees it. */
export interface Packet {
  readonly interface: string;
  readonly direction: string;
  readonly id: string;
  readonly comment: string;
  readonly protocols: string;
  readonly vni: string;
  readonly length: number;
}

const FIELDS = [
  'frame.interface_name',
  'frame.packet_flags_direction',
  'frame.packet_id',
  'frame.comment',
  'frame.protocols',
  'vxlan.vni',
  'frame.len',
] as const;

export class CaptureReader {
  readonly id: number;
  readonly file: string;
  readonly #datapath: Datapath;
  readonly #socket: Socket;
  readonly #written: Promise<void>;

  private constructor(
    datapath: Datapath,
    { id }: CaptureStatus,
    { socket, file }: { readonly socket: Socket; readonly file: string },
  ) {
    this.#datapath = datapath;
    this.id = id;
    this.file = file;
    this.#socket = socket;
    this.#written = finished(socket.pipe(createWriteStream(file)));
  }

  /** A capture that takes packets when this returns. */
  static async start(
    scope: Scope,
    datapath: Datapath,
    spec: Partial<CaptureSpec> = {},
  ): Promise<CaptureReader> {
    const folder = await makeFolder(scope);
    const path = join(folder, 'capture.sock');
    const defaults = { side: 'inner', dropsOnly: false, snaplen: 262_144, socket: path } as const;
    const status = await datapath.capture({ ...defaults, ...spec });
    // Half open: we end our side first, and then hear the rest.
    const socket = connect({ path, allowHalfOpen: true });
    await scope.defer('the reader of a capture', () => socket.destroy());
    const reader = new CaptureReader(datapath, status, { socket, file: join(folder, 'a.pcapng') });
    await eventually('the capture runs', () => reader.status()?.state === 'running', { every: 1 });
    return reader;
  }

  status(): CaptureStatus | undefined {
    return this.#datapath.captures().find(({ id }) => id === this.id);
  }

  /** Ends it as a reader does, and waits for the last of it. */
  async end(): Promise<void> {
    this.#socket.end();
    await this.ended();
  }

  /** Waits until it has ended by itself. */
  async ended(): Promise<void> {
    await this.#written;
  }

  /** Ends it; what was captured. tshark must have nothing to say about the file. */
  async packets(...options: string[]): Promise<readonly Packet[]> {
    await this.end();
    const { stdout, stderr } = await execa('tshark', [
      ...['-n', '-r', this.file, ...options],
      ...['ip', 'udp', 'tcp'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]),
      ...['-T', 'fields', '-E', 'aggregator=|', '-E', 'separator=/t'],
      ...[...FIELDS, '_ws.expert.severity', '_ws.expert.message'].flatMap((name) => ['-e', name]),
    ]);
    const said = stderr.split('\n').filter((line) => !/^Running as user|^$/.test(line));
    const rows = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split('\t').map((values) => values.split('|')));
    // A comment is itself an expert information, of the lowest severity.
    const complaints = rows.flatMap((row) => {
      const [severities = [], messages = []] = row.slice(FIELDS.length);
      return messages.filter((_, n) => Number(severities[n]) > COMMENT);
    });
    if (said.length + complaints.length > 0) throw new Error([...said, ...complaints].join('\n'));
    return rows.map((row) => ({
      interface: row[0]?.[0] ?? '',
      direction: row[1]?.[0] ?? '',
      id: row[2]?.[0] ?? '',
      comment: row[3]?.[0] ?? '',
      protocols: row[4]?.[0] ?? '',
      vni: row[5]?.[0] ?? '',
      length: Number(row[6]?.[0]),
    }));
  }

  /** Ends it; what its statistics say of each interface: its name, and one line per drop reason. */
  async statistics(): Promise<string> {
    await this.end();
    const { stdout } = await execa('capinfos', ['-M', this.file]);
    return stdout;
  }
}

/** Severity of a comment, below that of a chat. */
const COMMENT = 0x100000;
