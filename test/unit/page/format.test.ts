import { expect, it } from 'vitest';
import * as format from '../../../src/page/static/format.js';

it.each([
  [undefined, '–'],
  [0, '0 b/s'],
  [0.01, '0 b/s'],
  [1, '8 b/s'],
  [124.93, '999 b/s'],
  [124.99, '1 kb/s'],
  [155_000_000, '1.24 Gb/s'],
  [1.25e12, '10 Tb/s'],
])('%s bytes per second are %s', (rate, text) => expect(format.bitRate(rate)).toBe(text));

it.each([
  [undefined, '–'],
  [0.04, '0/s'],
  [0.08, '<0.1/s'],
  [3, '3/s'],
  [12_345, '12.3 k/s'],
])('%s per second are %s', (rate, text) => expect(format.perSecond(rate)).toBe(text));

it.each([
  [0, '0 s'],
  [59.9, '59 s'],
  [61, '1 min 1 s'],
  [3600, '1 h'],
  [90_061, '1 d 1 h'],
  // Two units that are neighbors, or one.
  [86_460, '1 d'],
])('%s seconds are %s', (seconds, text) => expect(format.duration(seconds)).toBe(text));

it('bytes, numbers, round trips and names', () => {
  expect(['', 1, 2048, 5 * 2 ** 30].slice(1).map((n) => format.bytes(n as number))).toEqual([
    '1 B',
    '2 KiB',
    '5 GiB',
  ]);
  expect(format.whole(1_234_567)).toBe('1\u202f234\u202f567');
  expect([210.4, 2100].map(format.roundTrip)).toEqual(['210 µs', '2.1 ms']);
  expect(format.shortened('𝒶𝒷𝒸𝒹', 3)).toBe('𝒶𝒷…');
});

it('a moment has its date unless it is of today', () => {
  const now = new Date(2026, 10, 21, 12, 0, 0);
  expect(format.moment(new Date(2026, 10, 21, 9, 5, 7), now)).toBe('09:05:07');
  expect(format.moment(new Date(2026, 10, 20, 9, 5, 7), now)).toBe('2026-11-20 09:05:07');
});
