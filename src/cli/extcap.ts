// vswitchctl extcap: called by Wireshark and tshark, which show people what stands on standard error.

import { type Command, Option } from 'commander';
import { openTarget } from '../capture/blockTarget.js';
import {
  configText,
  type ExtcapPlaces,
  interfacesText,
  LINK_TYPES,
  placeOf,
} from '../capture/extcap.js';
import { type CaptureBody, Refused } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import { VERSION } from '../model/version.js';
import { snaplenArgument } from './arguments.js';
import type { Context, Register } from './context.js';
import { registerExtcapInstall } from './extcapInstall.js';
import { recordCapture } from './recordCapture.js';

interface ExtcapOptions {
  readonly extcapInterfaces?: true;
  readonly extcapInterface?: string;
  readonly extcapDlts?: true;
  readonly extcapConfig?: true;
  readonly extcapReloadOption?: string;
  readonly extcapCaptureFilter?: string;
  readonly capture?: true;
  readonly fifo?: string;
  readonly side: 'inner' | 'outer' | 'both';
  readonly drops?: true;
  readonly snaplen?: number;
}

export const registerExtcap: Register = (program, run) => {
  const extcap = program
    .command('extcap')
    .description('networks, ports and VTEPs as interfaces of Wireshark and tshark: install')
    .option('--extcap-interfaces', 'which interfaces there are')
    .option('--extcap-version <version>', 'of Wireshark')
    .option('--extcap-interface <name>', 'the interface that the rest is about')
    .option('--extcap-dlts', 'its link types')
    .option('--extcap-config', 'its options')
    .option('--extcap-reload-option <option>', 'the values of one option')
    .option('--extcap-capture-filter <filter>', 'is it valid; with --capture: use it')
    .option('--capture', 'capture to --fifo')
    .option('--fifo <path>', 'where packets go')
    .addOption(
      new Option('--side <side>', 'frames, datagrams or both')
        .choices(['inner', 'outer', 'both'])
        .default('inner'),
    )
    .option('--drops', 'only what is dropped')
    .option('--snaplen <bytes>', 'keep so much of each packet', snaplenArgument)
    // Newer ones may ask more.
    .allowUnknownOption()
    .allowExcessArguments()
    .action(
      run(async (context, options: ExtcapOptions, command: Command) => {
        if (options.extcapInterfaces) return write(context, await interfaces(context));
        if (options.extcapInterface === undefined) {
          return command.error('error: this is for Wireshark to call; see `extcap install --help`');
        }
        const place = placeOf(options.extcapInterface);
        if (place === undefined) return command.error('error: there is no such interface');
        if (options.extcapConfig) return write(context, configText(context.socket));
        if (options.extcapDlts) return write(context, LINK_TYPES);
        const body = bodyOf(place, options);
        if (options.capture) return await capture(context, body, options, command);
        if (options.extcapCaptureFilter !== undefined) await checkFilter(context, body);
      }),
    );
  registerExtcapInstall(extcap, run);
};

async function interfaces({ client }: Context): Promise<string> {
  return interfacesText(VERSION, await placesOf(client).catch(unlessAway));
}

async function placesOf(client: Context['client']): Promise<ExtcapPlaces> {
  const networks = await client.networks();
  const peers = networks.flatMap((network) => network.peers.map(({ address }) => address));
  return {
    networks: networks.map(({ name }) => name),
    ports: networks.flatMap(({ name: network, ports }) =>
      ports.map(({ name }) => ({ name, network })),
    ),
    peers: [...new Set(peers)],
  };
}

function bodyOf(
  { drops, ...place }: NonNullable<ReturnType<typeof placeOf>>,
  options: ExtcapOptions,
): CaptureBody {
  const { extcapCaptureFilter: filter = '', side, snaplen } = options;
  return {
    ...place,
    side,
    drops: drops ?? options.drops ?? false,
    ...(filter.trim() !== '' && { filter }),
    ...(snaplen !== undefined && { snaplen }),
  };
}

async function capture(
  context: Context,
  body: CaptureBody,
  { fifo, extcapInterface = '' }: ExtcapOptions,
  command: Command,
): Promise<void> {
  if (fifo === undefined) return command.error('error: --capture needs --fifo');
  // Opened in any case: until somebody has, Wireshark waits and shows no refusal.
  const target = await openTarget(fifo);
  try {
    const wanted = { subject: extcapInterface, open: async () => target };
    const { trouble } = await recordCapture(context, body, wanted);
    if (trouble) throw trouble;
  } catch (error) {
    // Said before the pipe ends, because Wireshark reads nothing after that.
    if (!(error instanceof SwitchError) && !(error instanceof Refused)) throw error;
    context.note(`vswitchctl: ${error.message}`);
    context.fail();
  } finally {
    await target.close();
  }
}

/** Silence means that it is valid. Only a capture compiles a filter, so one begins. */
async function checkFilter({ client, print }: Context, body: CaptureBody): Promise<void> {
  try {
    const { id } = await client.capture(body);
    await client.endCapture(id);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.body.code === 'BAD_FILTER') print(error.message);
  }
}

/** A list without us, or with us alone, is no reason to complain each time that Wireshark starts. */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof SwitchError) && !(error instanceof Refused)) throw error;
}

function write({ print }: Context, text: string): void {
  print(text.trimEnd());
}
