// Network namespaces by their names, and what lives in them.
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { run, SetupError } from '../setup/child.mjs';

const patienceMillis = 60_000;
const pollMillis = 50;

/** Runs `ip` with these arguments, which must succeed, and returns its output. */
export async function ip(args, signal) {
  const { code, output } = await run('ip', args, { signal });
  if (code === 0) return output;
  throw new SetupError(`${output}\`ip ${args.join(' ')}\` failed.`);
}

/** The names of this machine's network namespaces that begin with `prefix`. */
export async function namespacesOf(prefix) {
  const names = (await ip(['netns', 'list'])).split('\n').map((line) => line.split(' ')[0]);
  return names.filter((name) => name.startsWith(prefix));
}

/** Kills what lives in a network namespace and waits until it is gone. */
export async function killAllIn(namespace) {
  await until(`${namespace} is empty`, async () => {
    const pids = (await ip(['netns', 'pids', namespace])).split('\n').filter(Boolean);
    for (const pid of pids) kill(Number(pid), 'SIGKILL');
    return pids.length === 0;
  });
}

/** A process's /proc/PID/status; empty when it is gone. */
export function statusOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return '';
  }
}

/** Waits until `condition()` holds; `what` says for what, in the error after a minute. */
export async function until(what, condition, signal) {
  for (const deadline = Date.now() + patienceMillis; !(await condition()); ) {
    if (Date.now() > deadline)
      throw new SetupError(`Waited ${patienceMillis / 1000} s until ${what}.`);
    await pause(pollMillis, undefined, { signal });
  }
}

/** Sends a signal to a process that may be gone by now. */
export function kill(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
