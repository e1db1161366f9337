// vswitchctl reload

import type { ReloadView } from '../control/client.js';
import { type Register, show } from './context.js';
import { removedText } from './portTable.js';

export const registerReload: Register = (program, run) => {
  program
    .command('reload')
    .description('read the configuration file again; a bad file changes nothing')
    .action(run(async (context) => show(context, await context.client.reload(), reloadText)));
};

function reloadText(reload: ReloadView): string {
  return [
    ...reload.added.map((what) => `added ${what}`),
    ...reload.changed.map((what) => `changed ${what}`),
    ...reload.removed.map((what) => `removed ${what}`),
    ...removedText(reload),
    ...reload.warnings.map((warning) => `warning: ${warning}`),
    `reloaded, ${reload.kept.length} things untouched`,
  ].join('\n');
}
