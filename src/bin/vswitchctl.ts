#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { runControl } from '../cli/main.js';

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => interrupted.abort());
// Whoever reads has seen enough: `vswitchctl stats --watch | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await runControl(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  stdout: process.stdout,
  stdin: process.stdin,
  daemonProgram: fileURLToPath(new URL('./vswitchd.js', import.meta.url)),
  signal: interrupted.signal,
});
