import { expect, it } from 'vitest';
import { removedText } from '../../../src/cli/portTable.js';

it('says what went, and what should have gone and why it did not', () => {
  const gone = { port: 'c1', ifname: 'eth0', netns: '/run/netns/c1' };
  const left = { port: 'c2', ifname: 'eth0', why: 'the namespace cannot be entered' };
  expect(removedText({ removed_taps: [gone], left_taps: [left] })).toEqual([
    'removed TAP eth0 in c1 (port c1)',
    'TAP eth0 (port c2) is still there: the namespace cannot be entered',
  ]);
  expect(removedText({ removed_taps: [] })).toEqual([]);
});
