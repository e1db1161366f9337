#!/usr/bin/env node
import { text } from 'node:stream/consumers';
import { runCni } from '../cni/main.js';

const { output, exitCode } = await runCni(process.env, await text(process.stdin));
process.stdout.write(output);
process.exitCode = exitCode;
