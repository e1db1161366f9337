// Moments of the past, as people write and read them: in the local time of the terminal.

import { InvalidArgumentError } from 'commander';

/** What may be written. */
export const MOMENTS = '5m ago as 5m, 12:03:07, or 2026-11-21T12:03:07Z';

/** An age (`30s`, `5m`, `2h`, `1d`), a time of the last 24 hours, or a date; `undefined` when it is none. */
export function parseMoment(text: string, now: Date): Date | undefined {
  const age = /^(\d{1,6})([smhd])$/.exec(text);
  if (age !== null) return new Date(now.getTime() - Number(age[1]) * (UNITS[age[2] ?? ''] ?? 0));
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?$/.exec(text);
  if (clock !== null) return lastTime(clock, now);
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return undefined;
  const date = new Date(text.replace(' ', 'T'));
  return Number.isNaN(date.getTime()) ? undefined : date;
}

export function momentArgument(text: string): Date {
  const moment = parseMoment(text, new Date());
  if (moment === undefined) throw new InvalidArgumentError(`Allowed: ${MOMENTS}.`);
  return moment;
}

/** `2026-11-21 12:03:07.041` */
export function momentText(iso: string): string {
  const date = new Date(iso);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** Today, or yesterday if that is still to come. */
function lastTime(clock: RegExpExecArray, now: Date): Date | undefined {
  const [hours, minutes, seconds] = [clock[1], clock[2], clock[3] ?? 0].map(Number);
  const millis = Number((clock[4] ?? '').padEnd(3, '0'));
  if (hours === undefined || minutes === undefined || seconds === undefined) return undefined;
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const time = new Date(now);
  time.setHours(hours, minutes, seconds, millis);
  if (time > now) time.setDate(time.getDate() - 1);
  return time;
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
