// Runs another program to its end: IPAM plugins, and `ip` inside a container's namespace.

import { spawn } from 'node:child_process';
import type { Variables } from './environment.js';

export interface ProgramCall {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Variables;
  /** For its standard input. */
  readonly input: string;
}

export interface ProgramEnd {
  /** `undefined`: a signal ended it, which is ours when it took too long. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Rejects with the system's error when it cannot be started. */
export function runProgram({ path, args, env, input }: ProgramCall): Promise<ProgramEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { env, timeout: PATIENCE_MS, stdio: 'pipe' });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    // Whoever does not read its input has ended, and tells why by other means.
    child.stdin.on('error', () => {});
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? undefined, stdout, stderr }));
    child.stdin.end(input);
  });
}

const PATIENCE_MS = 30_000;
