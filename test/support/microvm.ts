/**
 * A virtual machine with Debian's own kernel, of which the image holds the modules that a test names and no others.
 * Emulated (TCG) unless VSWITCHD_MICROVM_ACCEL says `kvm`: a /dev/kvm that opens says nothing about whether it can run
 * a stock kernel, so that is tried only where it is asked for, and given up in time.
 */

import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildImage } from '../../tools/microvm/image.mjs';
import { Child } from './child.js';
import { atMost, eventually, Hopeless } from './eventually.js';
import { type Namespace, temporaryDirectory } from './netns.js';
import type { Scope } from './scope.js';

export interface MicrovmSpec {
  /** Names its logs, `dist/microvm/log/NAME.console` and `.evidence`. */
  readonly name: string;
  /** Kernel modules; what they depend on comes with them. */
  readonly modules: readonly string[];
  /** A TAP (with vnet_hdr, up) that is its eth0's other end, and where that is. */
  readonly tap?: { readonly namespace: Namespace; readonly ifname: string };
}

/** How a script in the guest ended. */
export interface GuestResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** booted -> off. The scope switches it off; a time limit of its own does when nobody else is left to. */
export class Microvm {
  readonly #qemu: Child;
  readonly #line: Socket;
  readonly #logs: string;
  readonly #waiting = new Map<number, (result: GuestResult) => void>();
  #asked = 0;

  private constructor(qemu: Child, line: Socket, logs: string) {
    this.#qemu = qemu;
    this.#line = line;
    this.#logs = logs;
  }

  /** Builds the image and boots it; returns when the guest answers. Throws with its console when it does not. */
  static async boot(scope: Scope, spec: MicrovmSpec): Promise<Microvm> {
    const folder = await temporaryDirectory(scope, `microvm-${spec.name}`);
    const image = await buildImage(folder, spec.modules);
    const serial = join(folder, 'serial');
    const qemu = await startQemu(scope, spec, { ...image, serial });
    const line = await connectTo(scope, serial, qemu);
    const logs = join(LOGS, spec.name);
    await mkdir(LOGS, { recursive: true });
    const microvm = new Microvm(qemu, line, logs);
    await writeFile(`${logs}.evidence`, '');
    await scope.defer(`log of ${spec.name}`, () => writeFile(`${logs}.console`, qemu.stdout));
    await microvm.#listen();
    await rm(join(folder, 'tree'), { recursive: true });
    await microvm.evidence(
      `image: ${image.release}, vmlinuz sha256 ${image.digest}, modules ${image.modules.join(' ')}`,
    );
    await microvm.evidence((await qemu.waitForLine(/init: .*/))[0]);
    return microvm;
  }

  /** Runs a shell script in the guest to its end; a failure is an answer. Given up after `within` ms. */
  async try(script: string, within = ANSWER_MS): Promise<GuestResult> {
    this.#asked += 1;
    const id = this.#asked;
    const answer = new Promise<GuestResult>((resolve) => this.#waiting.set(id, resolve));
    this.#line.write(`${JSON.stringify({ id, script })}\n`);
    try {
      return await atMost(`the guest's answer to: ${script}`, within, answer);
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** The same for a script that must succeed; returns its standard output. */
  async run(script: string, within?: number): Promise<string> {
    const { code, stdout, stderr } = await this.try(script, within);
    if (code !== 0) throw new Error(`in the guest: ${script}\nexit ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** One `ip` command per line, without the word `ip`, in a network namespace or the guest's own. */
  async ip(commands: string, namespace?: string): Promise<void> {
    const where = namespace === undefined ? '' : `-n ${namespace}`;
    await this.run(`ip ${where} -batch - <<'END'\n${commands.trim()}\nEND`);
  }

  /** Shows a line to who reads the test's output, and keeps it. */
  async evidence(line: string): Promise<void> {
    const text = `evidence: ${line.trimEnd()}\n`;
    process.stdout.write(text);
    await appendFile(`${this.#logs}.evidence`, text);
  }

  async #listen(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: this.#line }).on('line', (text) => {
        const message = JSON.parse(text);
        if (message.ready) resolve();
        else this.#waiting.get(message.id)?.(message);
      });
    });
    const dead = this.#qemu.exited.then(() => {
      throw new Error(`qemu ended: ${this.#qemu.describe()}`);
    });
    dead.catch(() => {});
    try {
      await atMost('the guest answers', BOOT_MS, Promise.race([ready, dead]));
    } catch (cause) {
      throw new Error(`${hint()} Its console:\n${this.#qemu.describe()}`, { cause });
    }
  }
}

interface Machine {
  readonly kernel: string;
  readonly initramfs: string;
  /** Unix socket of the guest's ttyS1. */
  readonly serial: string;
}

async function startQemu(scope: Scope, { tap }: MicrovmSpec, machine: Machine): Promise<Child> {
  const accel = acceleration();
  const args = [
    ...['--kill-after=2', `${LIMIT_S}`, 'qemu-system-x86_64'],
    ...['-accel', accel, '-cpu', accel === 'kvm' ? 'host' : 'max', '-M', 'q35', '-smp', '2'],
    // The root file system may fill half of it.
    ...['-m', '1024', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', machine.kernel, '-initrd', machine.initramfs],
    ...['-append', 'console=ttyS0 quiet loglevel=4 panic=-1'],
    ...['-serial', 'stdio', '-serial', `unix:${machine.serial},server=on,wait=off`],
  ];
  if (tap === undefined) return await Child.start(scope, { command: 'timeout', args });
  const nic = [
    ...['-netdev', `tap,id=nic,ifname=${tap.ifname},script=no,downscript=no`],
    ...['-device', 'virtio-net-pci,netdev=nic,romfile='],
  ];
  return await tap.namespace.spawn(scope, { command: 'timeout', args: [...args, ...nic] });
}

async function connectTo(scope: Scope, path: string, qemu: Child): Promise<Socket> {
  const socket = await eventually('qemu listens', async () => {
    if (!qemu.running) throw new Hopeless(`${hint()} ${qemu.describe()}`);
    return await new Promise<Socket>((resolve, reject) => {
      const attempt = createConnection(path, () => resolve(attempt)).once('error', reject);
    });
  });
  socket.on('error', () => {}); // Its end is qemu's.
  await scope.defer('serial line', () => socket.destroy());
  return socket;
}

function acceleration(): 'tcg' | 'kvm' {
  const chosen = process.env.VSWITCHD_MICROVM_ACCEL ?? 'tcg';
  if (chosen === 'tcg' || chosen === 'kvm') return chosen;
  throw new Error(`VSWITCHD_MICROVM_ACCEL is tcg or kvm, not ${chosen}.`);
}

function hint(): string {
  return acceleration() === 'kvm'
    ? 'The virtual machine does not come up with KVM here; run it without VSWITCHD_MICROVM_ACCEL.'
    : 'The virtual machine does not come up: it needs qemu-system-x86_64 and 1.5 GiB of free memory.';
}

/** Of booting: a guest takes some seconds when emulated. */
const BOOT_MS = 120_000;
/** Of a script. */
const ANSWER_MS = 120_000;
/** Of a whole life, in s. */
const LIMIT_S = 600;
const LOGS = fileURLToPath(new URL('../../dist/microvm/log/', import.meta.url));
