/** vswitchd inside a virtual machine, in one of its network namespaces or in the guest's own. */

import { stringify } from 'yaml';
import type { CountersView } from '../../src/control/views.js';
import { assertBalanced } from './balance.js';
import { eventually, Hopeless } from './eventually.js';
import type { Microvm } from './microvm.js';
import type { VswitchdSpec } from './vswitchd.js';

export interface GuestVswitchdSpec extends Pick<VswitchdSpec, 'networks' | 'datapath'> {
  /** Names its files in the guest's /run. */
  readonly name: string;
  /** Of its VTEP. */
  readonly address: string;
  /** Default: where the guest's own interfaces are. */
  readonly namespace?: string;
}

/** running, until the guest ends. */
export class GuestVswitchd {
  readonly name: string;
  readonly #guest: Microvm;
  readonly #inside: string;

  private constructor(guest: Microvm, { name, namespace }: GuestVswitchdSpec) {
    this.name = name;
    this.#guest = guest;
    this.#inside = namespace === undefined ? '' : `ip netns exec ${namespace} `;
  }

  /** Returns when it answers and forwards. */
  static async start(guest: Microvm, spec: GuestVswitchdSpec): Promise<GuestVswitchd> {
    const vswitchd = new GuestVswitchd(guest, spec);
    const { name, address, networks, datapath } = spec;
    const control = { socket: `/run/${name}.sock` };
    const file = stringify({ vtep: { address }, control, networks, ...(datapath && { datapath }) });
    const run = `${vswitchd.#inside}node ${PROGRAMS}/vswitchd.js --config /run/${name}.yaml`;
    await guest.run(`
      cat >/run/${name}.yaml <<'END'\n${file}END
      ${run} >/run/${name}.log 2>&1 </dev/null &
      echo $! >/run/${name}.pid`);
    await eventually(
      `${name} is ready`,
      async () => {
        const log = await guest.run(`cat /run/${name}.log`);
        if (log.includes('"msg":"ready"')) return true;
        if ((await guest.try(`kill -0 $(cat /run/${name}.pid)`)).code !== 0) {
          throw new Hopeless(`${name} ended: ${log}`);
        }
        throw new Error(log);
      },
      { within: PATIENCE_MS, every: 1_000 },
    );
    return vswitchd;
  }

  /** `vswitchctl ARGS` as an operator sees it; throws what it refuses. */
  async ctl(...args: string[]): Promise<string> {
    const words = ['--socket', `/run/${this.name}.sock`, ...args];
    return await this.#guest.run(
      `${this.#inside}node ${PROGRAMS}/vswitchctl.js ${words.join(' ')}`,
    );
  }

  /** Waits until the counters add up: in = out + consumed + drops. */
  async balanced(): Promise<CountersView> {
    return await eventually(
      `balanced counters of ${this.name}`,
      async () => {
        const counters = (await this.#get('/v1/counters')) as CountersView;
        assertBalanced(counters);
        return counters;
      },
      { within: PATIENCE_MS },
    );
  }

  /** An answer of the API. Emulated, vswitchctl would take some seconds to start. */
  async #get(path: string): Promise<unknown> {
    const where = JSON.stringify({ socketPath: `/run/${this.name}.sock`, path });
    const script = `require("http").get(${where}, (answer) => answer.pipe(process.stdout))`;
    return JSON.parse(await this.#guest.run(`node -e '${script}'`));
  }
}

/** An emulated machine on a busy one takes its time. */
const PATIENCE_MS = 240_000;
const PROGRAMS = '/product/dist/bin';
