import { expect, it } from 'vitest';
import { FakeDaemon } from '../../../support/fakeDaemon.js';

it('top needs a terminal, and names what does not', async () => {
  const fake = await FakeDaemon.create();
  for (const args of [['top'], ['--json', 'top']]) {
    const { code, out, err } = await fake.ctl(...args);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('cannot show top: it needs a terminal,');
    expect(err).toContain('use `vswitchctl stats --watch`');
  }
});
