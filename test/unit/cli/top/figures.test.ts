import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { age, duration, percent, short } from '../../../../src/cli/top/figures.js';
import { pressed } from '../../../../src/cli/top/viewState.js';

describe('figures', () => {
  it.each([
    [undefined, '-'],
    [0, '0'],
    [0.3, '<1'],
    [1, '1'],
    [999, '999'],
    [999.6, '1.00k'],
    [1234, '1.23k'],
    [9996, '10.0k'],
    [99_960, '100k'],
    [999_600, '1.00M'],
    [12_345_678_901, '12.3G'],
    [1e18, '1000P'],
  ])('%s is %s', (rate, text) => {
    expect(short(rate)).toBe(text);
  });

  it('never have more than five columns', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 9e17, noNaN: true }), (rate) => short(rate).length <= 5),
    );
  });

  it.each([
    [undefined, '-'],
    [0, '0us'],
    [999, '999us'],
    [1200, '1.2ms'],
    [12_345, '12ms'],
    [999_600, '1.0s'],
    [12_000_000, '12s'],
  ])('%s us are %s', (micros, text) => {
    expect(duration(micros)).toBe(text);
  });

  it.each([
    [-1, '0s'],
    [59_999, '59s'],
    [303_000, '5m03s'],
    [11_520_000, '3h12m'],
    [367_200_000, '4d06h'],
  ])('%s ms are %s', (millis, text) => {
    expect(age(millis)).toBe(text);
  });

  it('loads are percentages', () => {
    expect([percent(undefined), percent(0), percent(0.374), percent(1)]).toEqual([
      '-',
      '0%',
      '37%',
      '100%',
    ]);
  });
});

describe('keys', () => {
  const state = { sort: 'in', paused: false } as const;
  const networks = ['net1', 'net2'];
  const chosen = (...names: string[]) =>
    names.reduce<ReturnType<typeof pressed>>(
      (now, name) => now && pressed(now, { name }, networks),
      state,
    );

  it('choose', () => {
    expect(chosen('s', 's')).toMatchObject({ sort: 'drops' });
    expect(chosen('s', 's', 's', 's')).toMatchObject({ sort: 'in' });
    expect(chosen('n', 'n')).toMatchObject({ network: 'net2' });
    expect(chosen('n', 'n', 'n')?.network).toBeUndefined();
    expect(chosen('p')).toMatchObject({ paused: true });
    expect(chosen('p', 'space')).toEqual(state);
    expect(chosen('x', 'c')).toEqual(state);
    expect(
      pressed({ ...state, network: 'went' }, { name: 'n' }, networks)?.network,
    ).toBeUndefined();
  });

  it('end', () => {
    expect(chosen('q')).toBeUndefined();
    expect(chosen('escape')).toBeUndefined();
    expect(pressed(state, { name: 'c', ctrl: true }, networks)).toBeUndefined();
  });
});
