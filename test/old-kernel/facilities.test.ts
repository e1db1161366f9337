/**
 * Single facilities refused in every way that a kernel or a filter of system calls does: absent, never a crash, and
 * traffic goes on.
 *
 *   c1 ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 */

import { execa } from 'execa';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DoctorView } from '../../src/control/views.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { packetPortOf } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { type PortConfig, PROGRAMS, portOf, Vswitchd } from '../support/vswitchd.js';
import { launcher } from './levels.js';

interface Facility {
  readonly what: string;
  /** Which of the report's facilities is missing then, and which others go with it. */
  readonly missing: readonly string[];
  /** As a kernel without it says. */
  readonly error: string;
  /** Rows of the conformance table. */
  readonly rows?: string;
  /** The port that uses it, or can be without it; default: a TAP in a container. */
  readonly port?: 'packet' | 'at home';
}

const OPTION = { error: 'ENOPROTOOPT' };
const CALL = { error: 'ENOSYS' };
const REQUEST = { error: 'EINVAL' };

const FACILITIES: readonly Facility[] = [
  { what: 'recvmmsg', missing: ['recvmmsg'], ...CALL, rows: '[S261] [S262]' },
  { what: 'sendmmsg', missing: ['sendmmsg'], ...CALL, rows: '[S261] [S262]' },
  { what: 'UDP_SEGMENT', missing: ['udp_gso'], ...OPTION },
  { what: 'UDP_GRO', missing: ['udp_gro'], ...OPTION },
  { what: 'SO_RCVBUFFORCE', missing: ['rcvbuf_force'], ...OPTION },
  { what: 'SO_RXQ_OVFL', missing: [], ...OPTION },
  { what: 'SO_REUSEPORT', missing: [], ...OPTION },
  { what: 'TUNSETOFFLOAD', missing: ['tso', 'uso'], ...REQUEST },
  { what: 'TUNGETFEATURES', missing: ['multi_queue'], ...REQUEST },
  { what: 'TUNSETVNETHDRSZ', missing: [], ...REQUEST },
  { what: 'PACKET_VNET_HDR', missing: ['packet_vnet_hdr', 'ring'], ...OPTION, port: 'packet' },
  { what: 'PACKET_IGNORE_OUTGOING', missing: [], ...OPTION, port: 'packet' },
  { what: 'bpf', missing: ['ring'], ...CALL },
  { what: 'setns', missing: [], ...CALL, port: 'at home' },
  { what: 'unshare', missing: [], ...CALL },
  { what: 'io_uring_setup', missing: [], ...CALL },
];
const ERRORS = ['ENOSYS', 'EPERM', 'EINVAL', 'ENOPROTOOPT'];

const scope = fileScope();
let one: Host;
let two: Host;
let c2: Container;

beforeAll(async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
  [one, two] = hosts as [Host, Host];
  const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
  c2 = await createContainer(scope, 'c2', 2);
  await kernel.attach(c2);
});

describe.each(FACILITIES)('$what', ({ what, missing, error, rows = '[S261]', port }) => {
  test('is told to be missing, however it is refused', async () => {
    for (const each of missing.length > 0 ? ERRORS : [error]) {
      const found = await missingWithout(`${what}=${each}`);
      expect(found, `${what}=${each}`).toEqual(expect.arrayContaining([...missing]));
    }
  });

  test.each([error, 'EPERM'])(`everything works without it: %s ${rows}`, async (refusal) => {
    const { container, config } = await place(port);
    const network = { name: 'net', vni: 256, peers: [two.address[4]] };
    const vswitchd = await Vswitchd.start(testScope(), one, {
      networks: [{ ...network, ports: [config] }],
      launcher: launcher('own', [`${what}=${refusal}`]),
    });
    await expectPing(container, { to: c2.address[4], size: 1422 });
    await expectTransfer({ from: container, to: c2, family: 4, bytes: 2_000_000 });
    await vswitchd.balanced();
    // A TAP would stay, and one is in the host's own namespace.
    await vswitchd.reload([network]);
    expect(await vswitchd.stop()).toMatchObject({ code: 0 });
  });
});

/** The names of what the report says to be missing. */
async function missingWithout(refusal: string): Promise<readonly string[]> {
  const [program = '', ...words] = launcher('own', [refusal]);
  // Nobody answers there, so the command looks for itself.
  const doctor = [PROGRAMS.vswitchctl, '--socket', '/nonexistent/control.sock', '--json', 'doctor'];
  const { stdout } = await execa(program, [...words, process.execPath, ...doctor], {
    reject: false,
  });
  const { checks }: DoctorView = JSON.parse(stdout);
  return checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

/** A container of the running test, and the port that it is to have. */
async function place(
  kind: Facility['port'],
): Promise<{ container: Container; config: PortConfig }> {
  const container = await createContainer(testScope(), 'c1', 1);
  if (kind === 'packet') return { container, config: await packetPortOf(one, container) };
  if (kind === undefined) return { container, config: portOf(container) };
  const home = { ...container, namespace: one.namespace, ifname: container.name };
  const { netns, ...config } = portOf(home);
  return { container: home, config };
}
