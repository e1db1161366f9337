// vswitchctl doctor

import type { DoctorView } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import { type Register, show } from './context.js';
import { table } from './table.js';

export const registerDoctor: Register = (program, run) => {
  program
    .command('doctor')
    .description('what this host offers, and what to do about what it lacks')
    .action(
      run(async (context) => {
        const doctor = await context.client.doctor().catch(withoutDaemon);
        show(context, doctor, doctorText);
        if (!doctor.ready) context.fail();
      }),
    );
};

/** Only the daemon's program can try what the host offers. */
function withoutDaemon(error: unknown): never {
  if (!(error instanceof SwitchError) || error.code !== 'NO_DAEMON') throw error;
  const fix =
    'run `vswitchd --doctor` for the same report without one, or name its socket with --socket';
  throw new SwitchError(error.code, error.subject, { ...error.facts, fix });
}

/** The report for people; `vswitchd --doctor` prints it too. */
export function doctorText(doctor: DoctorView): string {
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
