// The commands of vswitchctl: what the program, its help, its manual and the shells know of.

import { Command, Option } from 'commander';
import { DEFAULT_SOCKET, DEFAULT_SOCKET_TEXT } from '../model/socket.js';
import { VERSION } from '../model/version.js';
import { registerCapture } from './capture.js';
import { registerCompletion } from './completion.js';
import type { Runner } from './context.js';
import { registerDoctor } from './doctor.js';
import { registerDrops } from './drops.js';
import { registerEndpoint } from './endpoint.js';
import { registerExtcap } from './extcap.js';
import { registerFdb } from './fdb.js';
import { registerHistory } from './history.js';
import { registerHost } from './host.js';
import { registerNeighbor } from './neighbor.js';
import { registerNetwork } from './network.js';
import { registerPcap } from './pcap.js';
import { registerPeer } from './peer.js';
import { registerPort } from './port.js';
import { registerPurge } from './purge.js';
import { registerReload } from './reload.js';
import { registerStats } from './stats.js';
import { registerStatus } from './status.js';
import { registerTop } from './top.js';
import { registerTrace } from './trace.js';

const commands = [
  registerStatus,
  registerDoctor,
  registerNetwork,
  registerPort,
  registerPeer,
  registerFdb,
  registerEndpoint,
  registerHost,
  registerNeighbor,
  registerStats,
  registerDrops,
  registerCapture,
  registerExtcap,
  registerTop,
  registerTrace,
  registerHistory,
  registerPcap,
  registerReload,
  registerPurge,
  registerCompletion,
];

/** The whole command line; what a command does goes through `run`. */
export function controlProgram(run: Runner): Command {
  const program = new Command('vswitchctl')
    .description('Shows and changes what vswitchd does on this host.')
    .version(VERSION)
    .addOption(
      new Option('--socket <path>', 'control socket of vswitchd')
        .env('VSWITCHD_SOCKET')
        .default(DEFAULT_SOCKET, DEFAULT_SOCKET_TEXT),
    )
    .option('--json', "print the API's answer as JSON; a refusal too, on standard error");
  for (const register of commands) register(program, run);
  return program;
}
