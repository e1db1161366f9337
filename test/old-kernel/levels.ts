/** The releases that `tools/oldkernel` emulates, and what vswitchd says to be missing at each. */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Level {
  readonly release: string;
  /** Facilities by the names that `vswitchctl doctor` has for them. */
  readonly lacks: readonly string[];
  /** Whether several sockets can share a UDP port. */
  readonly sharesPorts: boolean;
  /** Whether a process can enter another's network namespace. */
  readonly hasSetns: boolean;
}

const UDP_OFFLOADS = ['udp_gso', 'udp_gro'];

const SINCE_3_10 = { lacks: ['uso', ...UDP_OFFLOADS], sharesPorts: true, hasSetns: true };

export const LEVELS: readonly Level[] = [
  {
    release: '2.6.32',
    lacks: ['uso', 'recvmmsg', 'sendmmsg', ...UDP_OFFLOADS],
    sharesPorts: false,
    hasSetns: false,
  },
  { ...SINCE_3_10, release: '3.2', sharesPorts: false },
  { ...SINCE_3_10, release: '3.10' },
  { ...SINCE_3_10, release: '3.16' },
  { ...SINCE_3_10, release: '4.14' },
];

const PROGRAM = fileURLToPath(
  new URL('../../tools/oldkernel/target/release/oldkernel', import.meta.url),
);

/** The words that run a program at that level; `own` with refusals such as `recvmmsg=EPERM` for single facilities. */
export function launcher(release: string, refusals: readonly string[] = []): readonly string[] {
  if (!existsSync(PROGRAM))
    throw new Error(`${PROGRAM} is missing: run \`npm run test:old-kernel\``);
  return [PROGRAM, ...refusals.flatMap((refusal) => ['--refuse', refusal]), release, '--'];
}
