/** A long-running process of a test: its output line by line, its end, its signals. */

import { execa, type ResultPromise } from 'execa';
import { atMost, eventually, Hopeless, type Patience } from './eventually.js';
import type { Scope } from './scope.js';

export interface ChildSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Written to its stdin, which is then closed. Absent: stdin stays open until `endInput`. */
  readonly input?: string;
}

export interface Exit {
  readonly code: number | undefined;
  readonly signal: string | undefined;
}

/** running -> exited. The scope that it was started in ends it. */
export class Child {
  readonly exited: Promise<Exit>;
  readonly #process: ResultPromise<{ reject: false; buffer: false }>;
  readonly #name: string;
  #stdout = '';
  #stderr = '';
  #exit: Exit | undefined;

  private constructor(process: ResultPromise<{ reject: false; buffer: false }>, name: string) {
    this.#process = process;
    this.#name = name;
    process.stdout?.on('data', (chunk) => {
      this.#stdout += String(chunk);
    });
    process.stderr?.on('data', (chunk) => {
      this.#stderr += String(chunk);
    });
    this.exited = process.then((result) => {
      this.#exit = { code: result.exitCode, signal: result.signal };
      return this.#exit;
    });
  }

  static async start(scope: Scope, spec: ChildSpec): Promise<Child> {
    const process = execa(spec.command, spec.args, {
      reject: false,
      buffer: false,
      ...(spec.env && { env: spec.env }),
      ...(spec.cwd && { cwd: spec.cwd }),
      ...(spec.input !== undefined && { input: spec.input }),
    });
    const child = new Child(process, `${spec.command} ${spec.args.join(' ')}`);
    await scope.defer(`process ${child.#name}`, () => child.stop());
    return child;
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Waits for a line on either output that matches; fails at once when the process ends before. */
  async waitForLine(pattern: RegExp, patience: Patience = {}): Promise<RegExpMatchArray> {
    return await eventually(
      `${pattern} from ${this.#name}`,
      () => {
        const lines = `${this.#stdout}\n${this.#stderr}`.split('\n');
        for (const line of lines) {
          const match = line.match(pattern);
          if (match) return match;
        }
        if (this.#exit) throw new Hopeless(`${this.#name} ended: ${this.describe()}`);
        return undefined;
      },
      { every: 10, ...patience },
    );
  }

  endInput(): void {
    this.#process.stdin?.end();
  }

  /** Sends the signal if the process still runs. */
  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#process.kill(signal);
  }

  /** SIGTERM, and SIGKILL when that did not end it in time. Any number of times. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.signal('SIGCONT'); // a stopped process does not see SIGTERM
    this.signal(signal);
    try {
      return await atMost(`end of ${this.#name} after ${signal}`, 10_000, this.exited);
    } catch (late) {
      this.signal('SIGKILL');
      await this.exited;
      throw late;
    }
  }

  /** How it ended and its last words, for error messages. */
  describe(): string {
    const tail = `${this.#stdout}\n${this.#stderr}`.trim().split('\n').slice(-20).join('\n');
    return `${this.#exit ? JSON.stringify(this.#exit) : 'running'}\n${tail}`;
  }
}
