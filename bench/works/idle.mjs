// CPU of daemons that have nothing to do.
import { setTimeout as pause } from 'node:timers/promises';
import { withCpu } from './cpu.mjs';

/** Waits and looks. */
export const idle = {
  figures: { daemons: { title: '% of a CPU, daemons', better: 'lower' } },
  possible: ({ pids }) => pids.length > 0,
  measure: async (lab, site, { seconds }) => {
    const wait = () => pause(1000 * seconds, undefined, { signal: lab.signal });
    const { daemons, seconds: duration } = await withCpu(site.pids, wait);
    return { daemons: (100 * daemons) / duration };
  },
};
