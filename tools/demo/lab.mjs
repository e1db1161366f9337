// Builds the demo's hosts, containers and daemons, and takes all of it away again.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { kill, killAllIn, until } from '../lab/namespace.mjs';
import { root, run, SetupError } from '../setup/child.mjs';
import { configOf, folder, hosts, namespaces } from './plan.mjs';

const stopMillis = 5_000;
const pollMillis = 50;

/** True while a demo stands, or what is left of one. */
export async function stands() {
  return existsSync(folder) || (await existingNamespaces()).length > 0;
}

/** Runs a command (program and arguments) that must succeed, and returns its output. */
export async function must([program, ...args], signal) {
  const { code, output } = await run(program, args, { signal });
  if (code !== 0) throw new SetupError(`${output}\`${[program, ...args].join(' ')}\` failed.`);
  return output;
}

/** Namespaces, the underlay and the configuration files. */
export async function build(signal) {
  mkdirSync(folder, { mode: 0o700 });
  const ip = (...args) => must(['ip', ...args], signal);
  for (const namespace of namespaces) {
    await ip('netns', 'add', namespace);
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  const [a, b] = hosts;
  const ends = ['name', a.underlay, 'netns', a.namespace, 'type', 'veth', 'peer'];
  await ip('link', 'add', ...ends, 'name', b.underlay, 'netns', b.namespace);
  for (const host of hosts) {
    const { namespace, underlay } = host;
    await ip('-n', namespace, 'address', 'add', `${host.address}/24`, 'dev', underlay);
    await ip('-n', namespace, 'link', 'set', underlay, 'mtu', '1500', 'up');
    writeFileSync(host.configFile, configOf(host));
  }
}

/** Starts a host's vswitchd in its namespace and waits until it answers. */
export async function startDaemon(host, signal) {
  const logFile = openSync(host.logFile, 'a');
  const daemon = [`${root}dist/bin/vswitchd.js`, '--config', host.configFile];
  const child = spawn('ip', ['netns', 'exec', host.namespace, process.execPath, ...daemon], {
    detached: true, // A Ctrl-C in this terminal is for the demo, which then stops its daemons.
    stdio: ['ignore', logFile, logFile],
  });
  child.unref();
  writeFileSync(host.pidFile, `${child.pid}\n`);
  const answers = async () => {
    if (child.exitCode !== null) throw new SetupError(`It ended with exit code ${child.exitCode}.`);
    return (await control(host, ['status'], signal)).code === 0;
  };
  try {
    await until('it answers', answers, signal);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    const log = readFileSync(host.logFile, 'utf8');
    throw new SetupError(`${log}vswitchd on ${host.namespace} does not start. ${error.message}`);
  }
}

/** Runs `vswitchctl` against a host's daemon; `{ code, output }`. */
export function control(host, args, signal) {
  const program = `${root}dist/bin/vswitchctl.js`;
  return run(process.execPath, [program, '--socket', host.socket, ...args], { signal });
}

/** Removes everything that the demo makes, whatever of it is there. */
export async function takeDown() {
  for (const host of hosts) await stopDaemon(host);
  for (const namespace of await existingNamespaces()) {
    await killAllIn(namespace);
    await must(['ip', 'netns', 'delete', namespace]);
  }
  rmSync(folder, { recursive: true, force: true });
}

async function existingNamespaces() {
  const names = new Set(
    (await must(['ip', 'netns', 'list'])).split('\n').map((line) => line.split(' ')[0]),
  );
  return namespaces.filter((namespace) => names.has(namespace));
}

async function stopDaemon(host) {
  if (!existsSync(host.pidFile)) return;
  const pid = Number(readFileSync(host.pidFile, 'utf8'));
  const runs = () => commandLine(pid).includes(host.configFile);
  if (!runs()) return;
  kill(pid, 'SIGTERM');
  for (const deadline = Date.now() + stopMillis; runs(); await pause(pollMillis)) {
    if (Date.now() > deadline) kill(pid, 'SIGKILL');
  }
}

/** A process's arguments; empty when it is gone or has ended. */
function commandLine(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
