// One line of the report.

import type { DoctorView } from '../../control/views.js';
import type { Probe } from '../../datapath/seam.js';
import type { Reading } from './facts.js';

export type Check = DoctorView['checks'][number];

/** `why` says why it matters; `fix` is told only of what is not well. */
export type Finding = Pick<Check, 'group' | 'name' | 'why'> & {
  readonly detail?: string | undefined;
  readonly fix?: string | undefined;
};

export function judged(state: Check['state'], { detail, fix, ...rest }: Finding): Check {
  return {
    ...rest,
    state,
    ok: state === 'ok',
    needed: state === 'missing',
    ...(detail ? { detail } : {}),
    ...(fix && state !== 'ok' ? { fix } : {}),
  };
}

/** Without it nothing works. */
export function needed(isThere: boolean, finding: Finding): Check {
  return { ...judged(isThere ? 'ok' : 'missing', finding), needed: true };
}

/** It works without, but not as well. */
export function optional(isThere: boolean, finding: Finding): Check {
  return judged(isThere ? 'ok' : 'without', finding);
}

/** What was tried without being allowed to says nothing about the kernel. */
export function tried(facility: Probe['facilities'][number], finding: Finding): Check {
  const { available, detail } = facility;
  if (!available && FORBIDDEN.test(detail ?? ''))
    return judged('unknown', { ...finding, detail: 'could not be tried without rights', fix: '' });
  return optional(available, { ...finding, detail });
}

/** As the addon words EPERM. */
const FORBIDDEN = /Operation not permitted/;

/** It is not in the way, or it may be. */
export function harmless(isHarmless: boolean, finding: Finding): Check {
  return judged(isHarmless ? 'ok' : 'warning', finding);
}

/** Judges what was read; what was not is one line that says so. */
export function readable<T>(
  reading: Reading<T>,
  finding: Finding,
  judge: (value: T) => readonly Check[],
): readonly Check[] {
  if ('value' in reading) return judge(reading.value);
  return [judged('unknown', { ...finding, detail: `could not be read: ${reading.unread}` })];
}
