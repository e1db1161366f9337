// vswitchctl drops

import { type Register, show } from './context.js';
import { table } from './table.js';

export const registerDrops: Register = (program, run) => {
  program
    .command('drops')
    .description('what was dropped on this host, and why')
    .option('--all', 'also the reasons that never happened')
    .action(
      run(async (context, options: { readonly all?: true }) => {
        const drops = await context.client.drops();
        const shown = options.all ? drops : drops.filter((drop) => drop.frames > 0);
        show(context, shown, () =>
          shown.length === 0
            ? 'Nothing was dropped.'
            : table(
                ['reason', 'stage', 'frames', 'why'],
                shown.map((d) => [d.reason, d.stage, d.frames, d.sentence]),
              ),
        );
      }),
    );
};
