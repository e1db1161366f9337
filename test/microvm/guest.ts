/** What every test in a virtual machine has of its guest. */

import { expect } from 'vitest';
import type { Microvm } from '../support/microvm.js';
import type { PortConfig } from '../support/vswitchd.js';

/** A container in the guest: a network namespace of its name, not made yet, and the port that gives it eth0. */
export interface GuestContainer {
  readonly name: string;
  readonly v4: string;
  readonly v6: string;
  /** Made of its MAC, RFC 4291 appendix A. */
  readonly linkLocal: string;
  readonly port: PortConfig;
}

/** `n`, from 1 to 99, makes its addresses: 10.0.0.n, fd00:10::n, 02:42:0a:00:00:n. */
export function guestContainer(name: string, n: number): GuestContainer {
  const v4 = `10.0.0.${n}`;
  const v6 = `fd00:10::${n}`;
  const last = n.toString(16).padStart(2, '0');
  return {
    name,
    v4,
    v6,
    linkLocal: `fe80::42:aff:fe00:${Number(n).toString(16)}`,
    port: {
      name,
      netns: name,
      ifname: 'eth0',
      mac: `02:42:0a:00:00:${last}`,
      addresses: [`${v4}/24`, `${v6}/64`],
    },
  };
}

/** Throws unless the guest's kernel has neither vxlan nor bridges nor other tunnels and can get none; shows why. */
export async function proveNoVxlan(guest: Microvm): Promise<void> {
  const { code, stdout, stderr } = await guest.try('sh /proof.sh');
  for (const line of stdout.split('\n')) {
    if (line.startsWith('evidence: ')) await guest.evidence(line.slice('evidence: '.length));
  }
  expect(stdout + stderr).not.toContain('disproof');
  expect(stdout).toContain('modules_disabled = 1');
  expect(stdout).toContain('`ip link add type vxlan`: Error: Unknown device type.');
  expect(code).toBe(0);
}

/** What busybox is called with to be a TCP server on port 7000, for one client, whom it answers with the SHA-256 of all he sent. */
export const SUM_SERVER = ['nc', '-l', '-p', '7000', '-e', 'sha256sum'] as const;

/** Starts that server in one of the guest's namespaces. */
export async function startSumServer(guest: Microvm, namespace: string): Promise<void> {
  await guest.run(`
    ip netns exec ${namespace} busybox ${SUM_SERVER.join(' ')} >/dev/null 2>&1 &
    until ip netns exec ${namespace} ss -Hltn | grep -q :7000; do :; done`);
}

/** Sends 8 MiB of noise from one of the guest's namespaces to a `SUM_SERVER`; throws unless its answer is right. */
export async function expectSameSum(guest: Microvm, from: string, to: string): Promise<string> {
  const sums = await guest.run(`
    head -c 8388608 /dev/urandom >/tmp/noise
    ip netns exec ${from} nc ${to} 7000 </tmp/noise
    sha256sum </tmp/noise`);
  const [there, here] = sums.trim().split('\n');
  expect(here).toMatch(/^[0-9a-f]{64} /);
  expect(there).toBe(here);
  return here!.slice(0, 64);
}
