/** A systemd that was booted for a test, in namespaces and over files of its own, with vswitchd's unit as it is shipped. */

import { mkdir, mkdtemp, readFile, rm, rmdir, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import type { Scope } from '../support/scope.js';

const BOOT = fileURLToPath(new URL('boot.sh', import.meta.url));
const NAMESPACES = ['--mount', '--pid', '--net', '--cgroup'];
/** What services and systemd itself ask for by default; without any of this machine's services. */
const TARGETS = ['default', 'multi-user', 'sysinit', 'basic', 'shutdown', 'network-online'];

export interface BootSpec {
  /** The unpacked tarball, whose programs stand in /usr/local/bin. */
  readonly tree: string;
  /** Units by their file names; `default.target` wants all services. */
  readonly units: Readonly<Record<string, string>>;
  /** Of /etc/vswitchd.yaml. */
  readonly configuration: string;
}

/** booted -> gone with its scope, and everything that it started. The underlay is 10.99.0.1/24 on `underlay`, a veth whose end is `far`. */
export class BootedSystemd {
  /** Of its process 1, as seen from here. */
  readonly #pid: number;

  private constructor(pid: number) {
    this.#pid = pid;
  }

  static async boot(scope: Scope, spec: BootSpec): Promise<BootedSystemd> {
    const folder = await filesOf(scope, spec);
    const cgroup = await ownCgroup(scope);
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const unshare = ['unshare', ...NAMESPACES, '--fork', '--mount-proc', '--kill-child'];
    const args = ['-c', enter, cgroup, ...unshare, BOOT, folder];
    const child = await Child.start(scope, { command: 'sh', args });
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    const pid = await eventually('process 1', async () => {
      if (!child.running) throw new Error(child.describe());
      return Number(await readFile(children, 'utf8')) || undefined;
    });
    // unshare itself takes no SIGTERM while its child lives.
    await scope.defer('systemd', async () => {
      process.kill(pid, 'SIGKILL');
      await child.exited;
    });
    const systemd = new BootedSystemd(pid);
    await eventually('systemd', async () => {
      if (!child.running) throw new Error(child.describe());
      return (await systemd.try('systemctl', 'is-active', 'default.target')).exitCode === 0;
    });
    return systemd;
  }

  /** Runs a program inside, beside its services; a failure is an answer. */
  try(program: string, ...args: readonly string[]) {
    const inside = ['--target', String(this.#pid), ...NAMESPACES, '--', program, ...args];
    return execa('nsenter', inside, { reject: false });
  }

  /** The same, and throws when it fails. Its standard output. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.try(program, ...args);
    if (exitCode === 0) return stdout;
    throw new Error(`${program} ${args.join(' ')}: exit ${exitCode}: ${stderr}${stdout}`);
  }

  /** A property of vswitchd's unit, systemctl(1). */
  property(name: string): Promise<string> {
    return this.run('systemctl', 'show', '--value', '--property', name, 'vswitchd.service');
  }
}

async function filesOf(scope: Scope, { tree, units, configuration }: BootSpec): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-systemd-'));
  await scope.defer('files', () => rm(folder, { recursive: true }));
  for (const name of ['etc', 'units', 'bin']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'etc/vswitchd.yaml'), configuration);
  for (const program of ['vswitchd', 'vswitchctl']) {
    await symlink(join(tree, 'bin', program), join(folder, 'bin', program));
  }
  const node = `#!/bin/sh\nexec '${process.execPath}' "$@"\n`;
  await writeFile(join(folder, 'bin/node'), node, { mode: 0o755 });
  const services = Object.keys(units).filter((name) => name.endsWith('.service'));
  const wanted = `DefaultDependencies=no\nAllowIsolate=yes\n`;
  for (const name of TARGETS) {
    const wants = name === 'default' ? `Wants=${services.join(' ')}\n` : '';
    await writeFile(join(folder, 'units', `${name}.target`), `[Unit]\n${wanted}${wants}`);
  }
  for (const [name, text] of Object.entries(units)) {
    await writeFile(join(folder, 'units', name), text);
  }
  return folder;
}

/** A control group below that of version 2 that this machine has; systemd takes it for its root. */
async function ownCgroup(scope: Scope): Promise<string> {
  const mounts = await readFile('/proc/self/mounts', 'utf8');
  const root = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  if (root === undefined) throw new Error('no cgroup2 is mounted');
  const cgroup = join(root, `vswitchd-systemd-${process.pid}`);
  await mkdir(cgroup);
  await scope.defer(cgroup, async () => {
    const { stdout } = await execa('find', [cgroup, '-depth', '-type', 'd']);
    for (const each of stdout.split('\n'))
      await eventually(each, () => rmdir(each).then(() => true));
  });
  return cgroup;
}
