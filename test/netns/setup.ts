import { afterEach } from 'vitest';
import { running } from '../support/vswitchd.js';

/** Whatever a test was about: frames must not get lost without a name. */
afterEach(async () => {
  for (const vswitchd of running) {
    if (!vswitchd.child.running) {
      running.delete(vswitchd);
      throw new Error(`vswitchd of ${vswitchd.host.name} ended: ${vswitchd.child.describe()}`);
    }
    await vswitchd.balanced();
  }
}, 30_000);
