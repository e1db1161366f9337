/** Single facilities refused in every way that a kernel or a filter of system calls does: absent, never a crash. */

import { execa } from 'execa';
import { expect, test } from 'vitest';
import type { DoctorView } from '../../src/control/views.js';
import { PROGRAMS } from '../support/vswitchd.js';
import { launcher } from './levels.js';

/** What is refused -> which of the report's facilities is missing then, and which others go with it. */
const FACILITIES = [
  { what: 'recvmmsg', missing: ['recvmmsg'] },
  { what: 'sendmmsg', missing: ['sendmmsg'] },
  { what: 'UDP_SEGMENT', missing: ['udp_gso'] },
  { what: 'UDP_GRO', missing: ['udp_gro'] },
  { what: 'SO_RCVBUFFORCE', missing: ['rcvbuf_force'] },
  { what: 'SO_RXQ_OVFL', missing: [] },
  { what: 'TUNSETOFFLOAD', missing: ['tso', 'uso'] },
  { what: 'TUNGETFEATURES', missing: ['multi_queue'] },
  { what: 'PACKET_VNET_HDR', missing: ['ring'] },
  { what: 'bpf', missing: ['ring'] },
  { what: 'setns', missing: [] },
  { what: 'unshare', missing: [] },
  { what: 'io_uring_setup', missing: [] },
] as const;
const ERRORS = ['ENOSYS', 'EPERM', 'EINVAL', 'ENOPROTOOPT'];

/** The names of what the report says to be missing. */
async function missingWithout(refusals: readonly string[]): Promise<readonly string[]> {
  const [program = '', ...words] = launcher('own', refusals);
  // Nobody answers there, so the command looks for itself.
  const doctor = [PROGRAMS.vswitchctl, '--socket', '/nonexistent/control.sock', '--json', 'doctor'];
  const args = [...words, process.execPath, ...doctor];
  const { stdout } = await execa(program, args, { reject: false });
  const { checks }: DoctorView = JSON.parse(stdout);
  return checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

test.each(FACILITIES)('[S262] without $what', async ({ what, missing }) => {
  for (const error of ERRORS) {
    const found = await missingWithout([`${what}=${error}`]);
    expect(found, `${what}=${error}`).toEqual(expect.arrayContaining([...missing]));
  }
});
