import { runHandover } from '../handover/main.js';

process.exitCode = await runHandover(process.argv.slice(2), {
  input: process.stdin,
  say: (text) => process.stdout.write(`${text}\n`),
});
