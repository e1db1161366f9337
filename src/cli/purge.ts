// vswitchctl purge

import type { PurgeView } from '../control/client.js';
import { type Register, show } from './context.js';
import { removedText } from './portTable.js';

export const registerPurge: Register = (program, run) => {
  program
    .command('purge')
    .description('remove every network, port and TAP that this vswitchd ever made on this host')
    .action(run(async (context) => show(context, await context.client.purge(), purgeText)));
};

function purgeText(purge: PurgeView): string {
  return [
    ...purge.networks.map((name) => `removed network ${name}`),
    ...purge.ports.map((name) => `removed port ${name}`),
    ...removedText({ removed_taps: purge.taps, left_taps: purge.left_taps }),
    ...(purge.left_taps === undefined ? ['Nothing of this vswitchd is left on this host.'] : []),
    'Networks of a configuration file come back with `vswitchctl reload`.',
  ].join('\n');
}
