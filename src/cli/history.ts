// vswitchctl history

import { setTimeout as sleep } from 'node:timers/promises';
import type { HistoryView } from '../control/client.js';
import { addressArgument, macArgument } from './arguments.js';
import { type Context, type Register, show } from './context.js';
import { MOMENTS, momentArgument, momentText } from './moment.js';

interface HistoryOptions {
  readonly mac?: string;
  readonly ip?: string;
  readonly port?: string;
  readonly since?: Date;
  readonly follow?: true;
}

export const registerHistory: Register = (program, run) => {
  program
    .command('history')
    .description('what has changed and what happened first: learned, moved, dropped, up, down')
    .argument('[network]')
    .option('--mac <mac>', 'about this station', macArgument)
    .option('--ip <address>', 'about this address, and about who has or had it', addressArgument)
    .option('--port <name>', 'at this port, or at this tunnel, such as 10.0.0.2:4789')
    .option('--since <time>', `from then on: ${MOMENTS}`, momentArgument)
    .option('--follow', 'go on with what happens from now on (with --json: one line each)')
    .action(
      run(async (context, network: string | undefined, options: HistoryOptions) => {
        const { since, follow, ...about } = options;
        const query = {
          ...(network !== undefined && { network }),
          ...about,
          ...(since !== undefined && { since: since.toISOString() }),
        };
        if (follow) return await following(context, query);
        const answer = await context.client.history(query);
        show(context, answer, (history) => historyText(history, since));
      }),
    );
};

type Query = Readonly<Record<string, string>>;

async function following(context: Context, query: Query): Promise<void> {
  let from: number | undefined;
  while (true) {
    const answer = await context.client.history({
      ...query,
      ...(from !== undefined && { from: String(from) }),
    });
    from = answer.next;
    for (const line of answer.lines) {
      context.print(context.json ? JSON.stringify(line) : lineText(line));
    }
    await sleep(FOLLOW_MS, undefined, { signal: context.signal });
  }
}

function historyText({ lines, complete_since }: HistoryView, since: Date | undefined): string {
  const isWhole = since !== undefined && since >= new Date(complete_since);
  return [
    ...lines.map(lineText),
    ...(lines.length === 0 ? ['Nothing of that is remembered.'] : []),
    ...(isWhole
      ? []
      : [`Complete from ${momentText(complete_since)} on; earlier lines may be missing.`]),
  ].join('\n');
}

function lineText({ at, kind, network, sentence }: HistoryView['lines'][number]): string {
  const place = network === undefined ? '' : `${network}: `;
  return `${momentText(at)}  ${kind.padEnd(KIND_WIDTH)}  ${place}${sentence}`;
}

const FOLLOW_MS = 500;
/** Of most kinds. */
const KIND_WIDTH = 10;
