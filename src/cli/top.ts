// vswitchctl top

import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlClient, Refused } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import type { Context, InputStream, Register } from './context.js';
import { pictureOf, type Reading } from './top/picture.js';
import { ratesOf } from './top/rates.js';
import { Screen } from './top/screen.js';
import { pressed, type ViewState } from './top/viewState.js';

export const registerTop: Register = (program, run) => {
  program
    .command('top')
    .description('live: ports, tunnels, rates and drops; keys stand in the last line')
    .argument('[network]', 'only this network (default: all)')
    .action(
      run(async (context, network?: string) => {
        const { stdout, stdin, json, client } = context;
        if (json || !stdout.isTTY || !stdin?.isTTY) throw new SwitchError('NO_TERMINAL', 'top');
        if (network !== undefined) await client.network(network);
        const first = await read(client, undefined);
        await new Top(first, { sort: 'in', network, paused: false }).run(context, stdin);
      }),
    );
};

/** What is seen, and by which choice. */
class Top {
  #reading: Reading;
  #state: ViewState;

  constructor(first: Reading, state: ViewState) {
    this.#reading = first;
    this.#state = state;
  }

  /** Until somebody quits, or the command is interrupted. */
  async run({ client, stdout, signal }: Context, stdin: InputStream): Promise<void> {
    const quit = new AbortController();
    const colors = !process.env.NO_COLOR;
    const draw = () => screen.draw(pictureOf(this.#reading, this.#state, screen.size, { colors }));
    const end = () => {
      quit.abort();
      // Whatever is still asked is of no interest.
      void client.close();
    };
    const screen = new Screen(
      { out: stdout, in: stdin },
      {
        key: (key) => {
          const networks = this.#reading.counters.networks.map(({ name }) => name);
          const next = pressed(this.#state, key, networks);
          if (next === undefined) return end();
          this.#state = next;
          draw();
        },
        resize: draw,
      },
    );
    const over = AbortSignal.any([signal, quit.signal]);
    try {
      while (true) {
        draw();
        await sleep(REFRESH_MS, undefined, { signal: over });
        if (!this.#state.paused) this.#reading = await readAgain(client, this.#reading);
        over.throwIfAborted();
      }
    } catch (error) {
      if (!quit.signal.aborted) throw error;
    } finally {
      screen.close();
    }
  }
}

async function read(client: ControlClient, previous: Reading | undefined): Promise<Reading> {
  const [status, counters] = [await client.status(), await client.counters()];
  return { status, counters, rates: ratesOf(previous?.counters, counters) };
}

/** While nobody answers, what was read last stays: a restart of vswitchd is no reason to end. */
async function readAgain(client: ControlClient, previous: Reading): Promise<Reading> {
  try {
    return await read(client, previous);
  } catch (error) {
    if (!(error instanceof SwitchError) && !(error instanceof Refused)) throw error;
    return { ...previous, trouble: error.message };
  }
}

const REFRESH_MS = 1000;
