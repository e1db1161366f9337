/**
 * Podman of an ordinary user, who exists in a mount and a process namespace of the test's own alone: his name and
 * his subordinate ids are in files that only Podman sees there, and nothing that it starts outlives them.
 */

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { Child } from './child.js';
import { temporaryDirectory } from './netns.js';
import type { OrdinaryUser } from './ordinaryUser.js';
import { IMAGE, imageOf } from './podman.js';
import type { Scope } from './scope.js';
import { PROGRAMS, type Vswitchd } from './vswitchd.js';

export class RootlessPodman {
  readonly #folder: string;
  readonly #user: OrdinaryUser;
  readonly #machine: Child;

  private constructor(folder: string, user: OrdinaryUser, machine: Child) {
    this.#folder = folder;
    this.#user = user;
    this.#machine = machine;
  }

  /** With an image of busybox. */
  static async create(scope: Scope, user: OrdinaryUser): Promise<RootlessPodman> {
    const folder = await temporaryDirectory(scope, 'podman');
    // Its maker's alone so far, but Podman works in there as the user.
    await execa('chmod', ['755', folder]);
    await writeAccounts(folder, user);
    await writeFile(join(folder, 'containers.conf'), CONFIGURATION);
    for (const name of ['home', 'run']) {
      await mkdir(join(folder, name), { mode: 0o700 });
      await user.own(join(folder, name));
    }
    const machine = await startMachine(scope, folder);
    const podman = new RootlessPodman(folder, user, machine);
    await podman.run('import', await imageOf(folder), IMAGE);
    return podman;
  }

  /** `podman ARGS`; throws with its words. */
  async run(...args: readonly string[]): Promise<string> {
    return await this.#as(this.#user, 'podman', '--storage-driver', 'vfs', ...args);
  }

  /** `podman run --network none`, with the right to ping; answers with the process that docs name, `.State.Pid`. */
  async container(name: string): Promise<string> {
    const rights = ['--network', 'none', '--cap-add', 'NET_RAW'];
    await this.run('run', '-d', '--name', name, ...rights, IMAGE, 'sleep', '1000');
    return await this.run('inspect', '-f', '{{.State.Pid}}', name);
  }

  /** `vswitchctl ARGS` where Podman's processes have the numbers that it tells; throws with its words. */
  async ctl(vswitchd: Vswitchd, ...args: readonly string[]): Promise<string> {
    const words = [PROGRAMS.vswitchctl, '--socket', vswitchd.socket, ...args];
    return await this.#as(this.#user, process.execPath, ...words);
  }

  async #as({ uid }: OrdinaryUser, ...command: readonly string[]): Promise<string> {
    const there = `/proc/${this.#machine.pid}/ns`;
    const enter = [
      `--mount=${there}/mnt`,
      `--pid=${there}/pid_for_children`,
      `--wd=${this.#folder}`,
    ];
    // Not without new privileges: newuidmap, by which Podman gets its subordinate ids, has them.
    const ids = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all'];
    const env = {
      HOME: join(this.#folder, 'home'),
      XDG_RUNTIME_DIR: join(this.#folder, 'run'),
      CONTAINERS_CONF: join(this.#folder, 'containers.conf'),
    };
    const words = [...enter, '--', 'setpriv', ...ids, '--', ...command];
    const { stdout } = await execa('nsenter', words, { env, stdin: 'ignore' });
    return stdout;
  }
}

/** The machine's accounts and one more, in files of their own. */
async function writeAccounts(folder: string, { uid }: OrdinaryUser): Promise<void> {
  const home = join(folder, 'home');
  const more = {
    passwd: `rootless:x:${uid}:${uid}::${home}:/bin/sh\n`,
    group: `rootless:x:${uid}:\n`,
  };
  for (const [name, line] of Object.entries(more)) {
    await writeFile(join(folder, name), (await readFile(`/etc/${name}`, 'utf8')) + line);
  }
  await writeFile(join(folder, 'subuid'), `rootless:${FIRST_SUBORDINATE}:65536\n`);
  await copyFile(join(folder, 'subuid'), join(folder, 'subgid'));
}

/** The namespaces, until their input ends: that is also when who started them is gone. */
async function startMachine(scope: Scope, folder: string): Promise<Child> {
  const args = ['--mount', '--pid', '--fork', '--mount-proc', 'sh', '-ec', MACHINE];
  const machine = await Child.start(scope, { command: 'unshare', args, cwd: folder });
  await scope.defer('processes of Podman', async () => {
    // unshare heeds no SIGTERM. It ends after all that lived in there.
    machine.endInput();
    await machine.exited;
  });
  await machine.waitForLine(/^ready$/);
  return machine;
}

const MACHINE = `
for name in passwd group subuid subgid; do mount --bind $name /etc/$name; done
mount -t tmpfs -o mode=1777 podman /dev/shm
echo ready
exec cat
`;

/** runc, because crun refuses hosts with both kinds of cgroups; what limits the user may not raise. */
const CONFIGURATION = `
[containers]
default_ulimits = []
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
`;

/** No account of a machine comes near. */
const FIRST_SUBORDINATE = 2_200_000_000;
