// Runs other programs for the set-up and the tests.
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's top folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A refusal whose message is the one sentence that the user needs: what is wrong and how to put it right. */
export class SetupError extends Error {}

/** The full path of a program, or undefined when PATH has none of that name. */
export function which(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

/**
 * Runs a program to its end and never throws for its exit code. `onOutput` receives its output (stdout and stderr
 * as they come) and without it nothing is shown. Returns `{ code, output, stdout }`; a death by a kill is code 1. Rejects
 * when the program cannot be started or `signal` (an AbortSignal) ends it.
 */
export function run(command, args, { cwd = root, env = {}, onOutput, signal } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
    });
    let output = '';
    let stdout = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8');
      stream.on('data', (text) => {
        output += text;
        onOutput?.(text);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output, stdout }));
  });
}
