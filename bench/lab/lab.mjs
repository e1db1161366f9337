// Namespaces, folders and processes of one run, with names of its own, and their removal.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, exec } from './child.mjs';

const prefix = `vsbench${process.pid}-`;
const dead = /^vsbench(\d+)-/;

/** open -> closed. What it makes it removes on `close`, in reverse order. */
export class Lab {
  /** AbortSignal: what still runs ends, nothing new begins. */
  signal;
  #undos = [];

  constructor(signal) {
    this.signal = signal;
  }

  /** A new network namespace with `lo` up; returns its name. */
  async namespace(label) {
    const name = `${prefix}${label}`;
    // Before it is there: a signal may end `add` when its work is done.
    this.#undos.push(() => existsSync(`/run/netns/${name}`) && removeNamespace(name));
    await this.exec('ip', ['netns', 'add', name]);
    await this.ip(name, ['link set dev lo up']);
    return name;
  }

  /** A new empty folder; returns its path. */
  folder(label) {
    const path = mkdtempSync(join(tmpdir(), `${prefix}${label}-`));
    this.#undos.push(() => rmSync(path, { recursive: true }));
    return path;
  }

  /** Runs a program to its end, see `exec`. */
  exec(command, args, options) {
    return exec(command, args, { signal: this.signal, ...options });
  }

  /** The same inside a namespace. */
  inside(namespace, [command, ...args], options) {
    return this.exec('ip', ['netns', 'exec', namespace, command, ...args], options);
  }

  /** Runs `ip` commands, one a string, without the word `ip`. */
  ip(namespace, commands) {
    return this.exec('ip', ['-n', namespace, '-batch', '-'], { input: `${commands.join('\n')}\n` });
  }

  /** Writes `/proc/sys/net/...` values of a namespace; those that this kernel does not have are left out. */
  sysctl(namespace, values) {
    const lines = Object.entries(values).map(([key, value]) => {
      const file = `/proc/sys/net/${key}`;
      return `if [ -e ${file} ]; then echo '${value}' > ${file}; fi`;
    });
    return this.inside(namespace, ['sh', '-ec', lines.join('\n')]);
  }

  /** Starts a process inside a namespace; its pid is the program's own. */
  spawn(namespace, [command, ...args], { env } = {}) {
    this.signal.throwIfAborted();
    const child = new Child('ip', ['netns', 'exec', namespace, command, ...args], { env });
    this.#undos.push(() => child.stop());
    return child;
  }

  /** Removes everything; goes on after a failure and throws all of them at the end. */
  async close() {
    const failures = [];
    for (let undo = this.#undos.pop(); undo !== undefined; undo = this.#undos.pop()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.join('\n'));
  }
}

/** Removes what runs left behind that could not clean up: those whose process is gone. */
export async function removeDeadRuns() {
  const isDead = (name) => dead.test(name) && !existsSync(`/proc/${dead.exec(name)[1]}`);
  const list = await exec('ip', ['netns', 'list']);
  const namespaces = list.split('\n').map((line) => line.split(' ')[0]);
  for (const name of namespaces.filter(isDead)) await removeNamespace(name);
  for (const name of readdirSync(tmpdir()).filter(isDead)) {
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** With the processes that still live in it. */
async function removeNamespace(name) {
  const pids = await exec('ip', ['netns', 'pids', name]);
  for (const pid of pids.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
  await exec('ip', ['netns', 'delete', name]);
}
