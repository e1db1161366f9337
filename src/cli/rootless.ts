// Attaching a container that lives in a user namespace of its user: nothing outside may make a TAP there, so a program
// of ours goes in as that user, and hands one over to vswitchd.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type AddPortBody, ControlClient, type PortView } from '../control/client.js';
import { type ErrorFacts, SwitchError } from '../model/error.js';
import type { ErrorCode } from '../model/sentences.js';
import { handoverSocketOf } from '../model/socket.js';
import { requireContainer } from './container.js';
import type { Context } from './context.js';

const PROGRAM = fileURLToPath(new URL('../bin/handover.js', import.meta.url));

/** What the program inside says, one line each. */
interface Said {
  readonly given?: { readonly ticket: string };
  readonly furnished?: true;
  readonly refused?: {
    readonly code: ErrorCode;
    readonly subject: string;
    readonly facts: ErrorFacts;
  };
}

/**
 * Adds a port whose TAP is in the namespaces of the process `pid`. When this throws there is no such port, and nothing
 * in the container. Throws CONTAINER_CLOSED, HANDOVER_REFUSED and what making a TAP may; `Refused` as `addPort`.
 */
export async function addRootless(
  { client, socket }: Pick<Context, 'client' | 'socket'>,
  network: string,
  { pid, ...body }: AddPortBody & { readonly pid: number },
): Promise<PortView> {
  const ifname = body.ifname ?? 'eth0';
  // Without vswitchd or the network there is nothing to go into the container for.
  await client.network(network);
  await requireContainer(pid);
  await using inside = new Inside(socket, pid, ifname);
  const { given } = await inside.hear();
  const added = await client.addPort(network, { ...body, ifname, handover: given?.ticket });
  try {
    const { name: port, mac, mtu, addresses } = added;
    inside.say({ ifname, owner: socket, port, mac, mtu, addresses });
    await inside.hear();
    return added;
  } catch (error) {
    await takeBack(socket, added.name);
    throw error;
  }
}

/** By a client of its own: the command's is deaf when it was interrupted. That it fails says less than why we are here. */
async function takeBack(socket: string, port: string): Promise<void> {
  const client = new ControlClient({ socket, signal: AbortSignal.timeout(TAKE_BACK_MS) });
  await client.removePort(port).catch(() => {});
  await client.close();
}

const TAKE_BACK_MS = 5_000;

/** The program that runs inside. Disposed of, it has ended. */
class Inside {
  readonly #pid: number;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  #complaint = '';

  constructor(socket: string, pid: number, ifname: string) {
    this.#pid = pid;
    // The mount namespace is not entered: the container needs neither us nor /dev/net/tun.
    const entry = ['-t', String(pid), '-U', '-n', '--preserve-credentials', '--'];
    const program = [process.execPath, PROGRAM, handoverSocketOf(socket), String(pid), ifname];
    this.#child = spawn('nsenter', [...entry, ...program], { stdio: ['pipe', 'pipe', 'pipe'] });
    // A program that is gone is told by the end of what it says.
    this.#child.on('error', (error) => {
      this.#complaint += error.message;
    });
    this.#child.stdin.on('error', () => {});
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint = (this.#complaint + text).slice(0, 500);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The next that it says. Throws what it was refused, or CONTAINER_CLOSED when it says no more. */
  async hear(): Promise<Said> {
    const { value, done } = await this.#lines.next();
    if (done === true) {
      if (this.#isRunning()) await once(this.#child, 'close');
      const detail = this.#complaint.split('\n', 1)[0];
      throw new SwitchError('CONTAINER_CLOSED', String(this.#pid), { detail });
    }
    const said = JSON.parse(value) as Said;
    if (said.refused === undefined) return said;
    const { code, subject, facts } = said.refused;
    throw new SwitchError(code, subject, { ...facts, ...IN_A_CONTAINER[code] });
  }

  say(furniture: unknown): void {
    this.#child.stdin.write(`${JSON.stringify(furniture)}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    if (this.#isRunning()) await once(this.#child, 'exit');
  }

  #isRunning(): boolean {
    const { exitCode, signalCode, pid } = this.#child;
    return pid !== undefined && exitCode === null && signalCode === null;
  }
}

/** What is said otherwise than when vswitchd itself makes a TAP. */
const IN_A_CONTAINER: Partial<Record<ErrorCode, ErrorFacts>> = {
  NO_TUN: {
    fix: 'have root do `modprobe tun` and `chmod 666 /dev/net/tun`, which udev does elsewhere',
  },
  IFNAME_TAKEN: {
    why: 'the container has an interface of that name',
    fix: 'choose another name with --ifname, or remove the port that made it',
  },
};
