// The lab's store: one etcd, for vswitchd by its API v3 and for a dockerd with a cluster store by v2.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, SetupError } from '../setup/child.mjs';
import { until } from './namespace.mjs';

export class Etcd {
  #process;

  /** `address` is one of the namespace; `folder` (existing) takes data and log. */
  constructor({ namespace, address, folder }) {
    this.namespace = namespace;
    this.address = address;
    this.folder = folder;
  }

  /** What a vswitchd.yaml says after `store:`. */
  get url() {
    return `etcd://${this.address}:2379/vswitchd`;
  }

  /** Resolves when it answers. What an earlier run has stored is there again. */
  async start(signal) {
    const clients = `http://${this.address}:2379`;
    const flags = [
      ...['--name', 'lab', '--data-dir', join(this.folder, 'etcd')],
      ...['--listen-client-urls', clients, '--advertise-client-urls', clients],
      ...['--listen-peer-urls', 'http://127.0.0.1:2380'],
      ...['--enable-v2', '--unsafe-no-fsync'],
    ];
    const file = join(this.folder, 'etcd.log');
    const log = openSync(file, 'a');
    const child = spawn('ip', ['netns', 'exec', this.namespace, 'etcd', ...flags], {
      detached: true, // A Ctrl-C is for the demo or the tests alone, which then take down the lab.
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.unref();
    this.#process = child;
    const answers = async () => {
      if (child.exitCode === null)
        return (await this.#run(['endpoint', 'health'], signal)).code === 0;
      throw new SetupError(`${readFileSync(file, 'utf8')}etcd does not start.`);
    };
    await until('etcd answers', answers, signal);
  }

  /** SIGSTOP and SIGCONT freeze and thaw it; SIGKILL is its end, until the next start. */
  signal(signal) {
    process.kill(this.#process.pid, signal);
  }

  /**
   * Runs `etcdctl` (API v3) with these arguments, which must succeed, and returns its output.
   *
   * @param {...string} args
   * @returns {Promise<string>}
   */
  async control(...args) {
    const { code, output } = await this.#run(args);
    if (code !== 0) throw new SetupError(`${output}\`etcdctl ${args.join(' ')}\` failed.`);
    return output;
  }

  async #run(args, signal) {
    const command = ['etcdctl', '--endpoints', `http://${this.address}:2379`, ...args];
    const env = { ETCDCTL_API: '3' };
    return await run('ip', ['netns', 'exec', this.namespace, ...command], { env, signal });
  }
}
