// vswitchctl capture

import { type Command, Option } from 'commander';
import { type BlockTarget, openTarget, targetOfOutput } from '../capture/blockTarget.js';
import type { Recording } from '../capture/recording.js';
import { RotatingFiles } from '../capture/rotation.js';
import type { CaptureBody, CaptureView, CapturingView } from '../control/client.js';
import { addressArgument, countArgument, sizeArgument, snaplenArgument } from './arguments.js';
import { type Context, type Register, show } from './context.js';
import { recordCapture } from './recordCapture.js';
import { table } from './table.js';

interface CaptureOptions {
  readonly port?: string;
  readonly peer?: string;
  readonly inner?: true;
  readonly outer?: true;
  readonly both?: true;
  readonly drops?: true;
  readonly filter?: string;
  readonly count?: number;
  readonly snaplen?: number;
  readonly write?: string;
  readonly rotate?: number;
  readonly files?: number;
  readonly list?: true;
  readonly end?: number;
}

export const registerCapture: Register = (program, run) => {
  program
    .command('capture')
    .description('packets of the overlay as pcapng, with what the switch decided about each')
    .argument('[network]', 'of this network (default: of all)')
    .option('--port <name>', 'what enters and leaves at this port of ours')
    .option('--peer <address>', 'what comes from and goes to this VTEP', addressArgument)
    .option('--inner', 'frames (the default)')
    .addOption(new Option('--outer', 'datagrams').conflicts('inner'))
    .addOption(
      new Option('--both', 'frames and the datagrams around them, linked by packet ID').conflicts([
        'inner',
        'outer',
      ]),
    )
    .option('--drops', 'only what is dropped')
    .option('--filter <expression>', "as for tcpdump, about the frame: 'tcp port 80'")
    .option('-c, --count <packets>', 'end after so many', countArgument)
    .option('--snaplen <bytes>', 'keep so much of each packet (default: all)', snaplenArgument)
    .option('-w, --write <file>', '`-` is standard output, the default unless it is a terminal')
    .option('--rotate <size>', 'a new file when one is so large: 500k, 10M, 1G', sizeArgument)
    .option('--files <number>', 'keep so many files, the newest', countArgument)
    .addOption(new Option('--list', 'captures that run, instead').conflicts(['end', ...CAPTURING]))
    .addOption(
      new Option('--end <id>', 'end a capture, instead')
        .argParser(countArgument)
        .conflicts([...CAPTURING]),
    )
    .addHelpText('after', EXAMPLES)
    .action(
      run(
        async (context, network: string | undefined, options: CaptureOptions, command: Command) => {
          if (options.list) return show(context, await context.client.captures(), captureTable);
          if (options.end !== undefined) return await end(context, options.end);
          const misuse = misuseOf(context, options);
          if (misuse !== undefined) command.error(`error: ${misuse}`);
          await capture(context, network, options);
        },
      ),
    );
};

async function capture(
  context: Context,
  network: string | undefined,
  options: CaptureOptions,
): Promise<void> {
  const subject = subjectOf(network, options);
  let target: BlockTarget | undefined;
  try {
    const { recording, trouble } = await recordCapture(context, bodyOf(network, options), {
      subject,
      open: async () => {
        target = await openWanted(context, options);
        return target;
      },
      begun: (capturing) => tellBegun(context, subject, capturing),
    });
    await target?.close();
    tellEnded(context, recording, target?.files ?? []);
    if (trouble) throw trouble;
  } finally {
    await target?.close();
  }
}

async function end(context: Context, id: number): Promise<void> {
  show(context, await context.client.endCapture(id), () => `ended capture ${id}`);
}

/** What no single option shows to be wrong. */
function misuseOf({ stdout }: Context, options: CaptureOptions): string | undefined {
  const toStdout = options.write === undefined || options.write === '-';
  if (toStdout && stdout.isTTY) {
    return 'packets are not written to a terminal; use `-w FILE`, or `-w - | wireshark -k -i -`';
  }
  if (options.rotate !== undefined && toStdout) return '--rotate needs `-w FILE`';
  if (options.files !== undefined && options.rotate === undefined) return '--files needs --rotate';
  return undefined;
}

async function openWanted(
  { stdout }: Context,
  { write = '-', rotate, files }: CaptureOptions,
): Promise<BlockTarget> {
  if (write === '-') return targetOfOutput(stdout);
  return rotate === undefined
    ? await openTarget(write)
    : new RotatingFiles(write, { size: rotate, files });
}

function bodyOf(network: string | undefined, options: CaptureOptions): CaptureBody {
  const { port, peer, filter, count, snaplen } = options;
  return {
    side: options.both ? 'both' : options.outer ? 'outer' : 'inner',
    drops: options.drops ?? false,
    ...(network !== undefined && { network }),
    ...(port !== undefined && { port }),
    ...(peer !== undefined && { peer }),
    ...(filter !== undefined && { filter }),
    ...(count !== undefined && { count }),
    ...(snaplen !== undefined && { snaplen }),
  };
}

/** What is captured, in words: `net1, port c1, drops`. */
function subjectOf(network: string | undefined, { port, peer, drops }: CaptureOptions): string {
  return [
    network ?? 'all networks',
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(peer === undefined ? [] : [`peer ${peer}`]),
    ...(drops ? ['drops'] : []),
  ].join(', ');
}

function tellBegun({ json, note }: Context, subject: string, { compiler }: CapturingView): void {
  if (!json) note(`capturing on ${subject} (${FILTERS[compiler]}), Ctrl-C ends`);
}

/** What `--json` prints at the end, on standard error where standard output carries the packets. */
interface CaptureSummary {
  readonly packets: number;
  readonly lost: number;
  readonly bytes: number;
  readonly files: readonly string[];
}

function tellEnded(context: Context, recording: Recording, files: readonly string[]): void {
  const { packets, lost, bytes } = recording;
  const toStdout = files.length === 0;
  if (context.json) {
    const summary: CaptureSummary = { packets, lost, bytes, files };
    const text = JSON.stringify(summary, null, 2);
    if (toStdout) context.note(text);
    else context.print(text);
    return;
  }
  const counted = `${packets} packets captured, ${lost} lost`;
  context.note(
    toStdout ? counted : `${counted}, ${files.length} ${files.length === 1 ? 'file' : 'files'}`,
  );
}

function captureTable(captures: readonly CaptureView[]): string {
  if (captures.length === 0) return 'No capture runs.';
  return table(
    ['id', 'of', 'state', 'packets', 'lost', 'bytes'],
    captures.map((it) => [it.id, it.of, it.state, it.packets, it.lost, it.bytes]),
  );
}

const FILTERS = {
  libpcap: 'filter by libpcap',
  'built-in': 'built-in filter',
  none: 'no filter',
} as const;

/** Options that only mean something for a capture that begins. */
const CAPTURING = [
  ...['port', 'peer', 'inner', 'outer', 'both', 'drops', 'filter', 'count', 'snaplen'],
  ...['write', 'rotate', 'files'],
];

const EXAMPLES = `
Examples:
  vswitchctl capture net1 -w net1.pcapng
  vswitchctl capture net1 --both -w - | wireshark -k -i -
  vswitchctl capture --drops -w - | tshark -r - -T fields -e frame.comment
  vswitchctl capture --port c1 --filter 'tcp port 80' --rotate 10M --files 5 -w c1.pcapng`;
