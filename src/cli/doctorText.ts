// The report of doctor for people: one page, each line as wide as the terminal.

import type { DoctorView } from '../control/client.js';
import { wrapped } from './table.js';

type Check = DoctorView['checks'][number];

const MARKS: Readonly<Record<Check['state'], string>> = {
  ok: 'ok',
  missing: 'MISSING',
  without: 'without',
  warning: 'WARNING',
  unknown: '?',
};
const MARK_WIDTH = 9;
const USUAL_WIDTH = 100;
const LEAST_WIDTH = 40;

/** Groups under their names; what is well takes one line, the rest says what to do. `vswitchd --doctor` prints it too. */
export function doctorText({ checks, verdict }: DoctorView, columns = USUAL_WIDTH): string {
  const nameWidth = Math.max(0, ...checks.map(({ name }) => name.length)) + 2;
  const left = Math.max(columns, LEAST_WIDTH) - MARK_WIDTH - nameWidth;
  const widths = [MARK_WIDTH, nameWidth, left];
  const groups = [...new Set(checks.map(({ group }) => group))].map((group) => {
    const rows = checks
      .filter((check) => check.group === group)
      .map((check) => [MARKS[check.state], check.name, checkText(check)]);
    return `${group.toUpperCase()}\n${wrapped(rows, widths)}`;
  });
  return [...groups, `\nThis machine is ${verdict}${afterword(verdict)}.`].join('\n');
}

function checkText({ ok, detail, why, fix }: Check): string {
  const said = detail === undefined ? why : `${detail}: ${why}`;
  return ok || fix === undefined ? said : `${said}\nfix: ${fix}`;
}

function afterword(verdict: DoctorView['verdict']): string {
  if (verdict === 'ready') return ': everything that is needed is there';
  if (verdict === 'not ready') return ': something that is needed is missing';
  return '; it cannot make TAPs itself';
}
