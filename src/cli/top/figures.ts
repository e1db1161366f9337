// Numbers in few columns.

import type { Rate } from './rates.js';

/** At most five columns: `0`, `42`, `1.23k`, `12.3M`, `123G`; `-` where there is none. */
export function short(rate: Rate): string {
  if (rate === undefined) return '-';
  if (rate > 0 && rate < 1) return '<1';
  let scaled = rate;
  let unit = 0;
  // 999.5 would be 1000 in three digits.
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  if (unit === 0) return String(Math.round(scaled));
  const decimals = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return `${scaled.toFixed(decimals)}${UNITS[unit]}`;
}

/** `340us`, `1.2ms`, `12ms`, `1.2s` */
export function duration(micros: number | undefined): string {
  if (micros === undefined) return '-';
  if (micros < 1000) return `${Math.round(micros)}us`;
  const [value, unit] = micros < 999_500 ? [micros / 1000, 'ms'] : [micros / 1e6, 's'];
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

/** `42s`, `5m03s`, `3h12m`, `4d06h` */
export function age(millis: number): string {
  const seconds = Math.max(0, Math.floor(millis / 1000));
  const pair = (large: number, small: number, [a, b]: readonly [string, string]) =>
    `${large}${a}${String(small).padStart(2, '0')}${b}`;
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), seconds % 60, ['m', 's']);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return pair(Math.floor(minutes / 60), minutes % 60, ['h', 'm']);
  const hours = Math.floor(minutes / 60);
  return pair(Math.floor(hours / 24), hours % 24, ['d', 'h']);
}

export function percent(load: Rate): string {
  return load === undefined ? '-' : `${Math.round(load * 100)}%`;
}

const UNITS = ['', 'k', 'M', 'G', 'T', 'P'];
