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
  /** Whether ordinary users can make namespaces of their own. */
  readonly hasUserNamespaces: boolean;
  /** The first number that is no system call of x86_64 there (syscalls(2)). */
  readonly callsEnd: number;
}

const UDP_OFFLOADS = ['udp_gso', 'udp_gro'];

const SINCE_3_10 = {
  lacks: ['uso', ...UDP_OFFLOADS],
  ...{ sharesPorts: true, hasSetns: true, hasUserNamespaces: true },
};

export const LEVELS: readonly Level[] = [
  {
    release: '2.6.32',
    lacks: ['uso', 'recvmmsg', 'sendmmsg', ...UDP_OFFLOADS, 'packet_vnet_hdr'],
    ...{ sharesPorts: false, hasSetns: false, hasUserNamespaces: false },
    callsEnd: 299,
  },
  { ...SINCE_3_10, release: '3.2', sharesPorts: false, hasUserNamespaces: false, callsEnd: 312 },
  { ...SINCE_3_10, release: '3.10', callsEnd: 314 },
  { ...SINCE_3_10, release: '3.16', callsEnd: 317 },
  { ...SINCE_3_10, release: '4.14', callsEnd: 333 },
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
