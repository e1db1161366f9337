// Gathers the facts: files of /proc, /sys and systemd, and what firewall programs print. Changes nothing.

import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { release } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { Datapath } from '../../datapath/datapath.js';
import { udpHolders } from '../udpOwner.js';
import type { Facts, Purpose, Reading, UserNamespaces } from './facts.js';
import type { Chain } from './firewall.js';
import { iptablesChains, isOfNftables } from './iptablesRules.js';
import type { LinkFile } from './linkFiles.js';
import { nftChains } from './nftRules.js';

/** Where facts come from; tests put a folder and programs of their own here. */
export interface Machine {
  /** `/`, or a folder that stands for it. */
  readonly root: string;
  /** Runs a program to its end and gives its standard output. Rejects when it is missing or fails. */
  readonly run: (program: string, args: readonly string[]) => Promise<string>;
}

export const THIS_MACHINE: Machine = { root: '/', run: runProgram };

/** Flannel's and older kernels' port: who holds it is told, though it is not in the way of 4789. */
export const OTHER_VXLAN_PORT = 8472;

/** Never rejects: what cannot be read is unread, with the reason. `probe` tries what the host offers, and may throw. */
export async function gatherFacts(
  machine: Machine,
  probe: Datapath['probe'],
  purpose: Purpose,
): Promise<Facts> {
  const { root } = machine;
  const at = (path: string) => join(root, path);
  const [files, network, services] = await Promise.all([
    Promise.all([
      reading(async () => capabilitiesOf(await readFile(at('proc/self/status'), 'utf8'))),
      reading(() => userNamespacesOf(at('proc/sys'))),
      reading(async () => (await stat(at('dev/net/tun'))).mode & 0o777),
      reading(() => numberIn(at('proc/sys/net/core/rmem_max'))),
    ]),
    Promise.all([
      reading(() => holdersOf(at('proc'), purpose.udpPorts)),
      reading(() => rpFilterOf(at('proc/sys/net/ipv4/conf'))),
      reading(() => firewallOf(machine)),
    ]),
    Promise.all([reading(() => linkFilesOf(root)), reading(() => kernelVxlanOf(root))]),
  ]);
  const [capabilities, userNamespaces, tunMode, receiveBufferMax] = files;
  const [holders, rpFilter, firewall] = network;
  const [linkFiles, kernelVxlan] = services;
  const glibc = runtimeGlibc();
  return {
    purpose,
    probe: await reading(async () => probe()),
    kernel: release(),
    node: process.versions.node,
    ...(glibc === undefined ? {} : { glibc }),
    ...{ capabilities, userNamespaces, tunMode, receiveBufferMax },
    ...{ holders, rpFilter, firewall, linkFiles, kernelVxlan },
  };
}

async function reading<T>(read: () => Promise<T>): Promise<Reading<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    return { unread: (error as Error).message.split('\n', 1)[0] ?? '' };
  }
}

/** Of the C library that this Node runs on; undefined on musl. */
function runtimeGlibc(): string | undefined {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime;
}

/** CapEff of proc(5), by the names of those that matter here (capabilities(7)). */
function capabilitiesOf(status: string): ReadonlySet<string> {
  const hex = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  if (hex === undefined) throw new Error('no CapEff in /proc/self/status');
  const effective = BigInt(`0x${hex}`);
  const held = Object.entries(CAPABILITIES).filter(([, bit]) => (effective >> bit) & 1n);
  return new Set(held.map(([name]) => name));
}

const CAPABILITIES: Readonly<Record<string, bigint>> = {
  CAP_NET_ADMIN: 12n,
  CAP_NET_RAW: 13n,
  CAP_SYS_ADMIN: 21n,
  CAP_BPF: 39n,
};

async function userNamespacesOf(sysctls: string): Promise<UserNamespaces> {
  const [most, unprivileged, restricted] = await Promise.all(
    [
      'user/max_user_namespaces',
      'kernel/unprivileged_userns_clone',
      'kernel/apparmor_restrict_unprivileged_userns',
    ].map((name) => absent(numberIn(join(sysctls, name)))),
  );
  return {
    ...(most === undefined ? {} : { most }),
    ...(unprivileged === undefined ? {} : { unprivileged }),
    ...(restricted === undefined ? {} : { restricted }),
  };
}

async function holdersOf(proc: string, ports: ReadonlySet<number>) {
  // A /proc that is closed to us reads as one without sockets.
  await stat(join(proc, 'net/udp'));
  return await udpHolders(new Set([...ports, OTHER_VXLAN_PORT]), { root: proc });
}

/** The larger of `all` and the interface's own counts (ip-sysctl of the kernel's documentation). */
async function rpFilterOf(conf: string): Promise<ReadonlyMap<string, number>> {
  const all = await numberIn(join(conf, 'all/rp_filter'));
  const names = (await readdir(conf)).filter((name) => name !== 'all' && name !== 'default');
  const values = names.map(async (name) => {
    const own = (await absent(numberIn(join(conf, name, 'rp_filter')))) ?? 0;
    return [name, Math.max(all, own)] as const;
  });
  return new Map(await Promise.all(values));
}

/**
 * The rules of nft, and of iptables where its programs are. Of a chain that both print iptables' word is taken,
 * because nft does not know all of its matches. Rejects when neither program can be asked.
 */
async function firewallOf({ run }: Machine): Promise<readonly Chain[]> {
  const saved = async (program: string, family: 4 | 6) => {
    const text = await run(program, []);
    return { chains: iptablesChains(text, family), isOfNftables: isOfNftables(text) };
  };
  const [nft, ...iptables] = await Promise.all([
    reading(async () => nftChains(await run('nft', ['--json', 'list', 'ruleset']))),
    reading(() => saved('iptables-save', 4)),
    reading(() => saved('ip6tables-save', 6)),
  ]);
  const [four] = iptables;
  if ('unread' in nft && 'unread' in four) throw new Error(`${nft.unread}; ${four.unread}`);
  const read = iptables.flatMap((one) => ('value' in one ? [one.value] : []));
  const shared = read.filter((one) => one.isOfNftables).flatMap(({ chains }) => chains);
  // `ip filter INPUT` of nft is `iptables filter INPUT` there.
  const told = new Set(shared.map(({ name }) => name.replace('tables', '')));
  return [
    ...('value' in nft ? nft.value.filter(({ name }) => !told.has(name)) : []),
    ...read.flatMap(({ chains }) => chains),
  ];
}

/** In the order of names, whatever the folder; of two with one name the first folder's counts. */
async function linkFilesOf(root: string): Promise<readonly LinkFile[] | undefined> {
  if ((await absent(stat(join(root, 'run/udev/control')))) === undefined) return undefined;
  const paths = new Map<string, string>();
  for (const folder of LINK_FOLDERS) {
    const names = (await absent(readdir(join(root, folder)))) ?? [];
    for (const name of names.filter((one) => one.endsWith('.link')))
      if (!paths.has(name)) paths.set(name, `/${folder}/${name}`);
  }
  const inOrder = [...paths.values()].sort((a, b) => (basename(a) < basename(b) ? -1 : 1));
  return await Promise.all(
    inOrder.map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })),
  );
}

const LINK_FOLDERS = [
  'etc/systemd/network',
  'run/systemd/network',
  'usr/local/lib/systemd/network',
  'usr/lib/systemd/network',
  'lib/systemd/network',
];

/** Without making a device: that would load the module. Rejects where no list says which modules there are. */
async function kernelVxlanOf(root: string): Promise<'there' | 'module' | 'absent'> {
  if ((await absent(stat(join(root, 'sys/module/vxlan')))) !== undefined) return 'there';
  const listed = await readFile(join(root, 'lib/modules', release(), 'modules.dep'), 'utf8');
  return /\/vxlan\.ko/.test(listed) ? 'module' : 'absent';
}

async function numberIn(path: string): Promise<number> {
  const value = Number.parseInt(await readFile(path, 'utf8'), 10);
  if (Number.isNaN(value)) throw new Error(`no number in ${path}`);
  return value;
}

/** What rejects is not there. */
async function absent<T>(wanted: Promise<T>): Promise<T | undefined> {
  return wanted.catch(() => undefined);
}

async function runProgram(program: string, args: readonly string[]): Promise<string> {
  const options = { timeout: PATIENCE_MS, maxBuffer: MOST_OUTPUT, env: { ...process.env, PATH } };
  try {
    return (await promisify(execFile)(program, [...args], options)).stdout;
  } catch (error) {
    const { code, stderr } = error as { readonly code?: string | number; readonly stderr?: string };
    const why = code === 'ENOENT' ? 'not installed' : stderr?.trim().split('\n', 1)[0];
    throw new Error(`${program}: ${why || `failed (${code ?? 'no answer in time'})`}`);
  }
}

/** Where those programs are, also for users whose own path leaves it out; an empty one would be the current folder. */
const PATH = [process.env.PATH, '/usr/sbin:/sbin:/usr/bin:/bin'].filter(Boolean).join(':');
const PATIENCE_MS = 5000;
const MOST_OUTPUT = 32 << 20;
