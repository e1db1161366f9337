import { expect, it } from 'vitest';
import { Serial } from '../../../src/overlay/serial.js';

it('runs one task at a time, in order, also after a failure', async () => {
  const serial = new Serial();
  const events: string[] = [];
  const task = (name: string, fails = false) =>
    serial.run(async () => {
      events.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([task('a'), task('b', true), task('c')]);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});
