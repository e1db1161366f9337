// vswitchctl drops

import { type Command, Option } from 'commander';
import { type Context, type Register, show } from './context.js';
import { DROP_ORDERS, type DropOrder, type PlacedDrop, placedDrops } from './dropPlaces.js';
import { table } from './table.js';
import { type Timed, watch } from './watch.js';

interface DropOptions {
  readonly by?: DropOrder;
  readonly all?: true;
  readonly watch?: true;
}

export const registerDrops: Register = (program, run) => {
  program
    .command('drops')
    .description('what was dropped on this host, or in one network, and why')
    .argument('[network]')
    .addOption(new Option('--by <what>', 'also where').choices(DROP_ORDERS))
    .option('--all', 'also the reasons that never happened, of the whole host')
    .option(
      '--watch',
      'show it anew every second, with what came meanwhile (with --json: one line each)',
    )
    .action(
      run(
        async (
          context,
          network: string | undefined,
          options: DropOptions,
          command: Command,
        ): Promise<void> => {
          const misuse = misuseOf(network, options);
          if (misuse !== undefined) command.error(`error: ${misuse}`);
          // Refused when there is none.
          if (network !== undefined) await context.client.network(network);
          const ask = () => dropsOf(context, network, options);
          const { by } = options;
          if (!options.watch) return show(context, await ask(), (drops) => dropsText(drops, by));
          await watch(context, ask, (now, before) =>
            dropsText(now.answer, by, rateSince(before, now)),
          );
        },
      ),
    );
};

function misuseOf(network: string | undefined, { by, all }: DropOptions): string | undefined {
  if (by === 'worker' && network !== undefined) return 'workers do not count by network';
  if (all && (by !== undefined || network !== undefined)) return '--all is about the whole host';
  return undefined;
}

/** By reason: those of the host or of one network. Otherwise by reason and place. */
async function dropsOf(
  { client }: Context,
  network: string | undefined,
  { by, all }: DropOptions,
): Promise<readonly PlacedDrop[]> {
  if (by !== undefined) return placedDrops(await client.counters(), by, network);
  if (network !== undefined) return placedDrops(await client.counters(), 'network', network);
  const drops = await client.drops();
  return all ? drops : drops.filter((drop) => drop.frames > 0);
}

type Rate = (drop: PlacedDrop) => number | undefined;
type Reading = Timed<readonly PlacedDrop[]>;

/** Frames per second; none before there are two readings. */
function rateSince(before: Reading | undefined, { at }: Reading): Rate {
  if (before === undefined) return () => undefined;
  const frames = new Map(before.answer.map((drop) => [keyOf(drop), drop.frames]));
  const seconds = (at - before.at) / 1000;
  return (drop) => {
    const news = drop.frames - (frames.get(keyOf(drop)) ?? 0);
    return Math.max(0, Math.round(news / seconds));
  };
}

function keyOf({ network, port, vtep, worker, reason }: PlacedDrop): string {
  return JSON.stringify([network, port, vtep, worker, reason]);
}

function dropsText(drops: readonly PlacedDrop[], by: DropOrder | undefined, rate?: Rate): string {
  if (drops.length === 0) return 'Nothing was dropped.';
  const columns = by === undefined ? [] : PLACES[by];
  return table(
    [...columns, 'reason', 'stage', 'frames', ...(rate ? ['per second'] : []), 'why'],
    drops.map((drop) => [
      ...columns.map((column) => drop[column]),
      ...[drop.reason, drop.stage, drop.frames],
      ...(rate ? [rate(drop)] : []),
      drop.sentence,
    ]),
  );
}

const PLACES = {
  network: ['network'],
  port: ['network', 'port'],
  vtep: ['vtep'],
  worker: ['worker'],
} as const satisfies Record<DropOrder, readonly (keyof PlacedDrop)[]>;
