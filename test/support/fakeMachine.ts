/** Machines that doctor looks at: one of which nothing can be read, and facts of one that lacks nothing. */

import type { Facts } from '../../src/daemon/doctor/facts.js';
import type { Machine } from '../../src/daemon/doctor/gather.js';
import { NO_PURPOSE } from '../../src/daemon/doctor/purpose.js';
import { FakeHost } from './fakeDatapath.js';

/** No file, no program. */
export const BARE_MACHINE: Machine = {
  root: '/nonexistent',
  run: async (program) => {
    throw new Error(`${program}: not installed`);
  },
};

const FACILITIES = ['packet', 'packet_vnet_hdr', 'veth', 'udp_gso', 'udp_gro', 'rcvbuf_force'];

/** VTEP 10.200.0.1 on eth0; `changes` over a machine on which all is well. */
export function factsOf(changes: Partial<Facts> = {}): Facts {
  const facilities = FACILITIES.map((name) => ({ name, available: true }));
  return {
    purpose: { ...NO_PURPOSE, vtep: '10.200.0.1' },
    probe: { value: { ...new FakeHost().probe, facilities } },
    kernel: '6.1.0',
    node: '20.20.2',
    glibc: '2.36',
    capabilities: {
      value: new Set(['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN', 'CAP_BPF']),
    },
    userNamespaces: { value: { most: 1000 } },
    tunMode: { value: 0o666 },
    receiveBufferMax: { value: 212_992 },
    holders: { value: [] },
    rpFilter: { value: new Map([['eth0', 0]]) },
    firewall: { value: [] },
    linkFiles: { value: undefined },
    kernelVxlan: { value: 'absent' },
    ...changes,
  };
}
