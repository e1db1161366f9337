// Who holds a UDP port that we want: a kernel vxlan device, or a process (found as `ss -lunp` does).

import { readdir, readFile, readlink } from 'node:fs/promises';
import type { Probe } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';

export interface Procfs {
  readonly root: string;
}

const HOST: Procfs = { root: '/proc' };

/** The same PORT_IN_USE error, naming the port's owner and how to get rid of it. */
export async function nameOwner(
  error: SwitchError,
  probe: Probe,
  procfs: Procfs = HOST,
): Promise<SwitchError> {
  const port = Number(/(\d+)$/.exec(error.subject)?.[1]);
  const device = probe.vxlanDevices.find((item) => item.udpPort === port && item.up);
  const { syscall, errno } = error.facts;
  if (device !== undefined) {
    return new SwitchError('PORT_IN_USE', error.subject, {
      syscall,
      errno,
      why: `the kernel vxlan device ${device.ifname} (VNI ${device.vni}) holds UDP port ${port} on all addresses`,
      fix: `\`ip link delete ${device.ifname}\` (or set it down), or set another \`vtep.port\` on all hosts`,
    });
  }
  const owner = await processWith(port, procfs);
  if (owner === undefined) return error;
  return new SwitchError('PORT_IN_USE', error.subject, {
    syscall,
    errno,
    why: `${owner.command} (process ${owner.pid}) holds UDP port ${port}`,
    fix: 'stop it, or set another `vtep.port` on all hosts',
  });
}

interface Owner {
  readonly pid: string;
  readonly command: string;
}

/** The process with a socket bound to this UDP port, as far as we may look. */
async function processWith(port: number, { root }: Procfs): Promise<Owner | undefined> {
  const tables = await Promise.all(['udp', 'udp6'].map((table) => textOf(`${root}/net/${table}`)));
  const inodes = new Set(tables.flatMap((table) => socketInodes(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of (await namesIn(root)).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await namesIn(`${root}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(await linkOf(`${root}/${pid}/fd/${fd}`))?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      return { pid, command: (await textOf(`${root}/${pid}/comm`)).trim() || 'a process' };
    }
  }
  return undefined;
}

/** Inodes of the sockets on a local port in the format of /proc/net/udp (proc(5)). */
function socketInodes(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const inode = fields[9];
      return fields[1]?.endsWith(suffix) && inode !== undefined ? [inode] : [];
    });
}

// Processes end while we look, and others' descriptors are closed to us: both mean "not found".

async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch(() => []);
}

async function linkOf(path: string): Promise<string> {
  return readlink(path).catch(() => '');
}
