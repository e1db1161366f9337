// vswitchctl doctor

import type { DoctorView } from '../control/client.js';
import { type Register, show } from './context.js';
import { table } from './table.js';

export const registerDoctor: Register = (program, run) => {
  program
    .command('doctor')
    .description('what this host offers, and what to do about what it lacks')
    .action(run(async (context) => show(context, await context.client.doctor(), doctorText)));
};

function doctorText(doctor: DoctorView): string {
  const rows = doctor.checks.map((check) => [
    check.ok ? 'ok' : check.needed ? 'MISSING' : 'without',
    check.name,
    check.detail,
    check.why,
    check.fix,
  ]);
  const verdict = doctor.ready
    ? 'Everything that is needed is there.'
    : 'Something that is needed is missing.';
  return `${table(['', 'what', 'detail', 'why it matters', 'fix'], rows)}\n\n${verdict}`;
}
