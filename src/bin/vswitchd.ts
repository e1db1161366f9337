#!/usr/bin/env node
import { doctorText } from '../cli/doctorText.js';
import { main } from '../daemon/main.js';

await main(process.argv.slice(2), { doctorText });
