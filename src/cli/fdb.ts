// vswitchctl fdb ...

import type { Command } from 'commander';
import type { FdbView, ReplaceFdbBody } from '../control/client.js';
import { formatVtep } from '../model/vtep.js';
import { macArgument, udpPortArgument, vniArgument, vtepArgument } from './arguments.js';
import { type Register, type Runner, show } from './context.js';
import { MOMENTS, momentArgument } from './moment.js';
import { table } from './table.js';

interface TargetOptions {
  readonly vtep?: string;
  readonly port?: string;
  readonly local?: true;
  readonly vni?: number;
  readonly udpPort?: number;
}

export const registerFdb: Register = (program, run) => {
  const fdb = program
    .command('fdb')
    .description('forwarding database: show, add, replace, rm, flush');
  fdb
    .command('show')
    .description('which MAC is where')
    .argument('[network]')
    .option('--at <time>', `as it was: ${MOMENTS}`, momentArgument)
    .action(
      run(async (context, network: string | undefined, { at }: { readonly at?: Date }) => {
        const { client } = context;
        if (at === undefined) return show(context, await client.fdb(network), fdbTable);
        const asked = { at: at.toISOString(), ...(network !== undefined && { network }) };
        show(context, await client.pastFdb(asked), pastFdbTable);
      }),
    );
  registerEdits(fdb, run);
  fdb
    .command('flush')
    .description('forget learned entries (static ones stay)')
    .argument('[network]')
    .option('--port <name>', 'only those of this port')
    .action(
      run(async (context, network: string | undefined, options: { readonly port?: string }) => {
        const answer = await context.client.flushFdb({ ...(network && { network }), ...options });
        show(context, answer, ({ flushed }) => `flushed ${flushed} learned entries`);
      }),
    );
};

function registerEdits(fdb: Command, run: Runner): void {
  withTarget(fdb.command('add <network>').description('add a static entry')).action(
    run(async (context, network: string, mac: string, options: TargetOptions) => {
      const answer = await context.client.addFdb(network, { mac, ...targetOf(options) });
      show(context, answer, () => `added FDB entry ${mac} to network ${network}`);
    }),
  );
  withTarget(
    fdb
      .command('replace <network>')
      .description('add a static entry or put it in the place of the old one'),
  ).action(
    run(async (context, network: string, mac: string, options: TargetOptions) => {
      const answer = await context.client.replaceFdb(network, mac, targetOf(options));
      show(context, answer, () => `FDB entry ${mac} of network ${network} is in place`);
    }),
  );
  fdb
    .command('rm <network>')
    .description('remove the static entry of a MAC')
    .argument('<mac>', 'MAC address', macArgument)
    .action(
      run(async (context, network: string, mac: string) => {
        show(
          context,
          await context.client.removeFdb(network, mac),
          () => `removed FDB entry ${mac} from network ${network}`,
        );
      }),
    );
}

function withTarget(command: Command): Command {
  return command
    .argument('<mac>', 'MAC address; all zero = the flood list', macArgument)
    .option('--vtep <address>', 'it is behind this VTEP', vtepArgument)
    .option('--port <name>', 'it is at this port of ours')
    .option('--local', 'frames to it are for this host itself')
    .option('--vni <number>', 'VNI to use towards the VTEP', vniArgument)
    .option('--udp-port <number>', 'UDP port of the VTEP', udpPortArgument);
}

function targetOf({ udpPort, ...rest }: TargetOptions): ReplaceFdbBody {
  return { ...rest, ...(udpPort === undefined ? {} : { udp_port: udpPort }) };
}

function fdbTable(entries: readonly FdbView[]): string {
  return table(
    ['mac', 'network', 'vni', 'origin', 'to', 'idle'],
    entries.map((entry) => [
      entry.mac,
      entry.network,
      entry.vni,
      entry.active ? entry.origin : `${entry.origin} (inactive)`,
      placeOf(entry),
      entry.origin === 'learned' ? `${Math.round(entry.idle)}s` : undefined,
    ]),
  );
}

/** Of an entry that was, nobody knows how long it had been silent. */
function pastFdbTable(entries: readonly FdbView[]): string {
  return table(
    ['mac', 'network', 'vni', 'origin', 'to'],
    entries.map((entry) => [entry.mac, entry.network, entry.vni, entry.origin, placeOf(entry)]),
  );
}

/** `port c1`, `vtep 10.0.0.2:4789` with `vni N` where it is another, or `local`. */
function placeOf(entry: FdbView): string {
  if (entry.port !== undefined) return `port ${entry.port}`;
  if (entry.vtep === undefined) return 'local';
  const other = entry.tunnel_vni !== undefined && entry.tunnel_vni !== entry.vni;
  const vtep = formatVtep({ address: entry.vtep, port: entry.udp_port });
  return `vtep ${vtep}${other ? ` vni ${entry.tunnel_vni}` : ''}`;
}
