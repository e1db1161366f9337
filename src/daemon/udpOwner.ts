// Who holds a UDP port that we want: a kernel vxlan device, or a process (found as `ss -lunp` does).

import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
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
  const holders = await udpHolders(new Set([port]), procfs);
  const owner = holders.find(({ process }) => process !== undefined)?.process;
  if (owner === undefined) return error;
  return new SwitchError('PORT_IN_USE', error.subject, {
    syscall,
    errno,
    why: `${owner.command} (process ${owner.pid}) holds UDP port ${port}`,
    fix: 'stop it, or set another `vtep.port` on all hosts',
  });
}

/** A bound UDP socket of our network namespace. */
export interface UdpHolder {
  readonly port: number;
  /** Bound to all addresses: no other socket gets the port beside it. */
  readonly everywhere: boolean;
  /** Absent for the kernel's own sockets, and where we may not look. */
  readonly process?: Owner;
}

interface Owner {
  readonly pid: string;
  /** Its name; of an interpreter also the script. */
  readonly command: string;
}

/**
 * Sockets bound to any of these UDP ports, as far as we may look. Reads descriptors of at most
 * {@link MOST_PROCESSES} processes. A /proc without tables of UDP says that there are none.
 */
export async function udpHolders(
  ports: ReadonlySet<number>,
  { root }: Procfs = HOST,
): Promise<UdpHolder[]> {
  const tables = await Promise.all(['udp', 'udp6'].map((table) => textOf(`${root}/net/${table}`)));
  const sockets = tables.flatMap(socketsOf).filter(({ port }) => ports.has(port));
  if (sockets.length === 0) return [];
  const owners = await ownersOf(new Set(sockets.map(({ inode }) => inode)), root);
  return sockets.map(({ port, everywhere, inode }) => {
    const process = owners.get(inode);
    return { port, everywhere, ...(process === undefined ? {} : { process }) };
  });
}

interface Socket extends Pick<UdpHolder, 'port' | 'everywhere'> {
  readonly inode: string;
}

/** The sockets of a table in the format of /proc/net/udp (proc(5)). */
function socketsOf(table: string): Socket[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [, address, port] = /^([0-9A-F]+):([0-9A-F]{4})$/.exec(fields[1] ?? '') ?? [];
      const inode = fields[9];
      if (address === undefined || port === undefined || inode === undefined) return [];
      return [{ port: Number.parseInt(port, 16), everywhere: /^0+$/.test(address), inode }];
    });
}

/** Inode to the process that has it open. */
async function ownersOf(inodes: ReadonlySet<string>, root: string): Promise<Map<string, Owner>> {
  const owners = new Map<string, Owner>();
  const pids = (await namesIn(root)).filter((name) => /^\d+$/.test(name));
  for (const pid of pids.slice(0, MOST_PROCESSES)) {
    for (const fd of await namesIn(`${root}/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(await linkOf(`${root}/${pid}/fd/${fd}`))?.[1];
      if (inode === undefined || !inodes.has(inode) || owners.has(inode)) continue;
      owners.set(inode, { pid, command: await commandOf(`${root}/${pid}`) });
    }
    if (owners.size === inodes.size) break;
  }
  return owners;
}

/** `dockerd`; `node vswitchd.js`, because a script's interpreter says little. */
async function commandOf(folder: string): Promise<string> {
  const name = (await textOf(`${folder}/comm`)).trim() || 'a process';
  const [program = '', script = ''] = (await textOf(`${folder}/cmdline`)).split('\0');
  const isScript = /\.(m?js|py|pl|rb)$/.test(script) || basename(script).startsWith('vswitch');
  return isScript ? `${basename(program)} ${basename(script)}` : name;
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

const MOST_PROCESSES = 5000;
