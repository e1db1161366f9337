// vswitchctl pcap: what a capture, or an interface of the underlay, says about VXLAN. Needs no vswitchd.

import { createReadStream } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import type { Command } from 'commander';
import { Analysis } from '../capture/offline/analysis.js';
import { AnyCaptureReader } from '../capture/offline/captureReader.js';
import { listen } from '../capture/offline/live.js';
import { reportOf } from '../capture/offline/report.js';
import { SwitchError } from '../model/error.js';
import { listOption, secondsArgument, udpPortArgument } from './arguments.js';
import { type Context, type Register, show } from './context.js';
import { pcapText } from './pcapText.js';

interface Options {
  readonly udpPort: readonly number[];
  readonly interface?: string;
  readonly seconds?: number;
}

export const registerPcap: Register = (program, run) => {
  program
    .command('pcap')
    .description('what a capture of any system has of VXLAN, and what is wrong with that')
    .argument('[file]', 'pcap or pcapng; - reads standard input')
    .addOption(
      listOption(
        '--udp-port <port>',
        'where VXLAN is looked for',
        udpPortArgument,
        VXLAN_PORTS.join(', '),
      ),
    )
    .option('--interface <ifname>', 'listen there instead, as root, until Ctrl-C')
    .option('--seconds <n>', 'with --interface: end after so long', secondsArgument)
    .action(
      run(async (context, file: string | undefined, options: Options, command: Command) => {
        checkSource(file, options, command);
        const ports = options.udpPort.length > 0 ? options.udpPort : VXLAN_PORTS;
        const analysis = new Analysis(ports);
        if (file !== undefined) await readCapture(context, file, analysis);
        else await readInterface(context, { ...options, udpPort: ports }, analysis);
        const report = reportOf(analysis);
        show(context, report, pcapText);
        if (report.problems.length > 0) context.fail();
      }),
    );
};

function checkSource(file: string | undefined, options: Options, command: Command): void {
  const { interface: ifname, seconds } = options;
  if ((file === undefined) === (ifname === undefined)) {
    command.error('error: name a file, - or --interface, and only one of them');
  }
  if (file !== undefined && seconds !== undefined) {
    command.error('error: --seconds is for --interface');
  }
}

/** Until its end, or until Ctrl-C: then what was read until then counts. */
async function readCapture(context: Context, file: string, analysis: Analysis): Promise<void> {
  const reader = new AnyCaptureReader();
  try {
    for await (const chunk of opened(file, context.signal)) {
      for (const item of reader.read(chunk as Buffer)) analysis.add(item);
    }
  } catch (error) {
    if (context.signal.aborted) return;
    const { message } = error as Error;
    throw new SwitchError('CAPTURE_UNREADABLE', nameOf(file), { detail: message });
  }
  const problem = reader.end();
  if (problem !== undefined) analysis.add(problem);
}

function opened(file: string, signal: AbortSignal): Readable {
  const stream =
    file === '-' ? process.stdin : createReadStream(file, { highWaterMark: CHUNK_BYTES });
  return addAbortSignal(signal, stream);
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file;
}

async function readInterface(
  context: Context,
  { interface: ifname = '', seconds, udpPort }: Options,
  analysis: Analysis,
): Promise<void> {
  const ends = seconds === undefined ? [] : [AbortSignal.timeout(seconds * 1000)];
  const until = AbortSignal.any([context.signal, ...ends]);
  const { lost } = await listen(
    { ifname, udpPorts: udpPort, until, ready: () => context.note(`listening on ${ifname}`) },
    (packet) => analysis.add(packet),
  );
  analysis.add({ kind: 'statistics', comments: [], lost });
}

/** IANA's, the one that Linux uses unless told otherwise, and that of VXLAN-GPE. */
const VXLAN_PORTS: readonly number[] = [4789, 8472, 4790];
const CHUNK_BYTES = 1024 * 1024;
