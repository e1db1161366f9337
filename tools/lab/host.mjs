// A host of the lab: network, mount, UTS and PID namespaces of its own, so that daemons find their default paths and
// one kill is a power cut.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, SetupError } from '../setup/child.mjs';
import { ip, killAllIn, statusOf, until } from './namespace.mjs';

const script = join(root, 'tools/lab/host.sh');

/** Of the caller's environment nothing that points a client elsewhere. */
const environment = {
  DOCKER_HOST: 'unix:///var/run/docker.sock',
  DOCKER_CONFIG: '/run/docker-client',
  DOCKER_CONTEXT: undefined,
  DOCKER_API_VERSION: undefined,
};

/** off -> on -> off, any number of times; nothing that it had survives being off, but its logs. */
export class Host {
  #init;

  /**
   * `name` is its host name and its port on the fabric, a namespace with the bridge `fabric`; `namespace` names its
   * own network namespace, where `eth0` gets `address` (of a /24); `folder` takes the logs of its services.
   */
  constructor({ name, namespace, fabric, address, folder }) {
    this.name = name;
    this.namespace = namespace;
    this.fabric = fabric;
    this.address = address;
    this.folder = folder;
  }

  /** Makes the namespaces and the cable; nothing runs yet. */
  async powerOn(signal) {
    mkdirSync(this.folder, { recursive: true });
    await ip(['netns', 'add', this.namespace], signal);
    const near = ['name', this.name, 'mtu', '1500'];
    const far = ['name', 'eth0', 'mtu', '1500', 'netns', this.namespace];
    await ip(['-n', this.fabric, 'link', 'add', ...near, 'type', 'veth', 'peer', ...far], signal);
    await ip(['-n', this.fabric, 'link', 'set', this.name, 'master', 'fabric', 'up'], signal);
    await ip(['-n', this.namespace, 'address', 'add', `${this.address}/24`, 'dev', 'eth0'], signal);
    for (const link of ['lo', 'eth0']) {
      await ip(['-n', this.namespace, 'link', 'set', link, 'up'], signal);
    }
    const network = `--net=/run/netns/${this.namespace}`;
    const others = [
      '--mount',
      '--uts',
      '--pid',
      '--fork',
      '--mount-proc',
      '--propagation',
      'private',
    ];
    const process = ['nsenter', network, 'unshare', ...others, 'bash', script, this.name];
    await this.#launch('host', process, signal, async () => {
      this.#init = await firstProcess(this.namespace);
      return this.#init !== undefined && (await this.exec(['test', '-e', '/run/ready'])).code === 0;
    });
  }

  /** Whatever runs on it dies at once, unasked, and the cable goes. */
  async powerOff() {
    this.#init = undefined;
    await killAllIn(this.namespace);
    await ip(['-n', this.fabric, 'link', 'delete', this.name]);
    await ip(['netns', 'delete', this.namespace]);
  }

  get isOn() {
    return this.#init !== undefined;
  }

  /** The file on this machine that a path names on this host. */
  path(path) {
    return `/proc/${this.#init}/root${path}`;
  }

  /** The program and arguments that run a command on this host. */
  inside(command) {
    if (!this.isOn) throw new SetupError(`${this.name} is off.`);
    return ['nsenter', '-t', this.#init, '-m', '-u', '-n', '-p', '--', ...command];
  }

  /** Runs a command (program and arguments) on this host to its end; as `run`. */
  exec(command, { env, ...options } = {}) {
    const [program, ...args] = this.inside(command);
    return run(program, args, { ...options, env: { ...environment, ...env } });
  }

  /** The same for a command that must succeed; returns its standard output. */
  async must(command, options) {
    const { code, output, stdout } = await this.exec(command, options);
    if (code === 0) return stdout;
    throw new SetupError(`${output}\`${command.join(' ')}\` failed on ${this.name}.`);
  }

  /**
   * Starts a service; resolves when `isReady(what it has written since)` holds. `NAME.log` has the output of all its
   * runs.
   */
  async start(name, command, { isReady, signal }) {
    const remember = ['sh', '-c', 'echo $$ >"$0"; exec "$@"', pidFile(name), ...command];
    await this.#launch(name, this.inside(remember), signal, isReady);
  }

  /** Sends a signal to a service that runs; what it started gets none. */
  async signal(name, signal) {
    await this.must(['sh', '-c', `kill -${signal} "$(cat "$0")"`, pidFile(name)]);
  }

  async runs(name) {
    const look = 'kill -0 "$(cat "$0")" 2>/dev/null';
    return (await this.exec(['sh', '-c', look, pidFile(name)])).code === 0;
  }

  /** Ends a service and waits for its end. */
  async stop(name, signal = 'TERM') {
    await this.signal(name, signal);
    await until(`${name} on ${this.name} has ended`, async () => !(await this.runs(name)));
  }

  /** What a service has written, in all its runs. */
  log(name) {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8');
  }

  async #launch(name, [program, ...args], signal, isReady) {
    const log = openSync(join(this.folder, `${name}.log`), 'a');
    const before = this.log(name).length;
    const child = spawn(program, args, {
      detached: true, // A Ctrl-C is for the demo or the tests alone, which then take down the lab.
      cwd: '/',
      stdio: ['ignore', log, log],
      env: { ...process.env, ...environment },
    });
    closeSync(log);
    child.unref();
    let end;
    child.on('error', (error) => {
      end = error.message;
    });
    child.on('exit', (code) => {
      end = `It ended with exit code ${code}.`;
    });
    const written = () => this.log(name).slice(before);
    try {
      const looked = async () => {
        if (end !== undefined) throw new SetupError(end);
        return await isReady(written());
      };
      await until(`it is ready`, looked, signal);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      const lines = written().trimEnd().split('\n').slice(-20).join('\n');
      throw new SetupError(`${lines}\n${name} on ${this.name} does not start. ${error.message}`);
    }
  }
}

function pidFile(name) {
  return `/run/lab-${name}.pid`;
}

/** The process, as this machine numbers it, that is number 1 of the host's PID namespace. */
async function firstProcess(namespace) {
  const pids = (await ip(['netns', 'pids', namespace])).split('\n').filter(Boolean);
  return pids.find((pid) => /^NSpid:\t.*\t1$/m.test(statusOf(pid)));
}
