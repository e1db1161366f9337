// Processes of a run. None shares our terminal: a Ctrl-C is for the run, which then ends what it started.
import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

const stopMillis = 5_000;
const lineMillis = 20_000;
const pollMillis = 5;
const tailLines = 20;

/**
 * Runs a program to its end and returns its stdout; throws with all its output when it fails or takes longer than
 * `within` milliseconds. `signal` (an AbortSignal) ends it; `input` is its stdin.
 */
export async function exec(command, args, { signal, env, input, within = 60_000 } = {}) {
  const limit = AbortSignal.timeout(within);
  const child = new Child(command, args, {
    env,
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  child.endInput(input);
  const code = await child.exited;
  signal?.throwIfAborted();
  if (limit.aborted) throw new Error(`${child.name}: not done after ${within / 1000} s`);
  if (code !== 0) throw new Error(`${child.name}: ${child.describe()}`);
  return child.stdout;
}

/** started -> exited. Whoever starts one stops it. */
export class Child {
  name;
  /** Settles with the exit code, or the name of the signal that ended it. */
  exited;
  stdout = '';
  stderr = '';
  #process;
  #exit;

  constructor(command, args, { env = {}, signal } = {}) {
    this.name = [command, ...args].join(' ');
    this.#process = spawn(command, args, {
      detached: true,
      env: { ...process.env, ...env },
      signal,
      killSignal: 'SIGKILL',
    });
    for (const stream of ['stdout', 'stderr']) {
      this.#process[stream].setEncoding('utf8').on('data', (text) => {
        this[stream] += text;
      });
    }
    // A server that is gone does not read; its exit code says why.
    this.#process.stdin.on('error', () => {});
    this.#process.on('error', (error) => {
      this.stderr += `${error.message}\n`;
    });
    this.exited = new Promise((resolve) => {
      this.#process.on('close', (code, name) => {
        this.#exit = code ?? name;
        resolve(this.#exit);
      });
    });
  }

  get pid() {
    return this.#process.pid;
  }

  get running() {
    return this.#exit === undefined;
  }

  /** Closes its stdin, after `input` if there is any. */
  endInput(input) {
    this.#process.stdin.end(input);
  }

  /** Waits until `pattern` stands in its output; throws when it ends before or says nothing for long. */
  async saying(pattern, signal) {
    const deadline = Date.now() + lineMillis;
    while (!pattern.test(this.stdout) && !pattern.test(this.stderr)) {
      if (!this.running || Date.now() > deadline) {
        throw new Error(`${this.name} does not say ${pattern}: ${this.describe()}`);
      }
      await pause(pollMillis, undefined, { signal });
    }
  }

  /** SIGTERM, and SIGKILL when that did not end it in time. Any number of times. */
  async stop() {
    if (!this.running) return;
    this.#process.kill('SIGTERM');
    const impatience = setTimeout(() => this.#process.kill('SIGKILL'), stopMillis);
    await this.exited;
    clearTimeout(impatience);
  }

  /** How it ended and its last words. */
  describe() {
    const tail = `${this.stdout}\n${this.stderr}`.trim().split('\n').slice(-tailLines).join('\n');
    return `${this.running ? 'still runs' : `exit ${this.#exit}`}\n${tail}`;
  }
}
