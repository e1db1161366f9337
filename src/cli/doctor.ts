// vswitchctl doctor

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DoctorView } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import { type Context, type Register, show } from './context.js';
import { doctorText } from './doctorText.js';

export const registerDoctor: Register = (program, run) => {
  program
    .command('doctor')
    .description('what this host offers, and what to do about what it lacks; also without a daemon')
    .action(
      run(async (context) => {
        const doctor = await context.client
          .doctor()
          .catch((error: unknown) => withoutDaemon(context, error));
        show(context, doctor, (report) => doctorText(report, context.stdout.columns));
        if (!doctor.ready) context.fail();
      }),
    );
};

/** Only the daemon's program can try what the host offers: where none runs, one is run for this. */
async function withoutDaemon(
  { daemonProgram, note, signal, json, socket }: Context,
  error: unknown,
): Promise<DoctorView> {
  if (!(error instanceof SwitchError) || error.code !== 'NO_DAEMON') throw error;
  if (daemonProgram === undefined) throw error;
  if (!json)
    note(`No vswitchd answers on ${socket}; this is the machine without its configuration.`);
  const args = [daemonProgram, '--doctor', '--json'];
  // A machine that is not ready ends it with 1.
  const stdout = await promisify(execFile)(process.execPath, args, { signal }).then(
    (done) => done.stdout,
    (failed: { readonly stdout?: string }) => failed.stdout ?? '',
  );
  try {
    return JSON.parse(stdout) as DoctorView;
  } catch {
    throw error;
  }
}
