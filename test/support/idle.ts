import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from './eventually.js';
import type { Vswitchd } from './vswitchd.js';

/**
 * Throws when the switch works although nothing is to be done: more than 1 % of a processor, looked at for 3 s
 * at a time. Stray frames and a noisy machine cost a second look; a busy loop fails every one.
 */
export async function expectIdle(vswitchd: Vswitchd): Promise<void> {
  await eventually(
    'an idle switch',
    async () => {
      const before = await vswitchd.cpuTicks();
      await delay(3000);
      const ticks = (await vswitchd.cpuTicks()) - before;
      if (ticks > 3) throw new Error(`${ticks} ticks of 10 ms in 3 s`);
      return true;
    },
    { within: 25_000 },
  );
}
