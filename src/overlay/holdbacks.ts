// Networks of the store that this host cannot run as the store has them, such as one whose UDP port somebody
// else holds here. They must not keep the others from being followed: each stays as it was, or out, and is
// tried again when the store has it otherwise, and every 30 s. Time is an argument (Unix milliseconds).

import type { SharedNetwork } from '../store/runtimeState.js';
import type { Skipped } from './merge.js';
import type { Knowledge } from './settings.js';

/** What may be at fault: a network of the store that is wanted in another form than it is in effect. */
export interface Suspect {
  readonly wanted: SharedNetwork;
  /** `undefined` = not at all. */
  readonly inEffect: SharedNetwork | undefined;
}

interface Holdback {
  /** As the store has it; JSON. */
  readonly refused: string;
  /** As it was in effect; `undefined` = not at all. */
  readonly instead: SharedNetwork | undefined;
  readonly why: string;
  readonly due: number;
}

const RETRY_MS = 30_000;

export class Holdbacks {
  readonly #rows = new Map<string, Holdback>();

  /** What is held back and why. */
  get skipped(): Skipped[] {
    return [...this.#rows].map(([name, { why }]) => ({ what: `network ${name}`, why }));
  }

  /** With every network that is held back as it was. */
  applied(knowledge: Knowledge): Knowledge {
    if (this.#rows.size === 0) return knowledge;
    const networks = knowledge.networks.flatMap((network) => {
      const row = this.#rowOf(network);
      if (row === undefined) return [network];
      return row.instead === undefined ? [] : [row.instead];
    });
    return { ...knowledge, networks };
  }

  /** Whether some network is to be tried again. */
  isDue(now: number): boolean {
    return [...this.#rows.values()].some(({ due }) => now >= due);
  }

  /** Lets go of what is due, and of what is another in the store by now, or gone. */
  expire(networks: readonly SharedNetwork[], now: number): void {
    const held = new Set(networks.filter((item) => this.#rowOf(item)).map(nameOf));
    for (const [name, { due }] of this.#rows) {
      if (!held.has(name) || now >= due) this.#rows.delete(name);
    }
  }

  /**
   * Runs `become`, which makes what is known effective or changes nothing and throws. When it throws, holds
   * back those of the suspects with which it does; throws too when none of them is to blame.
   */
  async guard(
    become: () => Promise<void>,
    suspectsOf: (error: unknown) => readonly Suspect[],
    now: number,
  ): Promise<void> {
    try {
      return await become();
    } catch (error) {
      const suspects = suspectsOf(error);
      if (suspects.length === 0) throw error;
      for (const suspect of suspects) this.#hold(suspect, error as Error, now);
      try {
        await become();
      } catch {
        for (const suspect of suspects) this.#release(suspect);
        throw error;
      }
      for (const suspect of suspects) {
        this.#release(suspect);
        await become().catch((refusal: Error) => this.#hold(suspect, refusal, now));
      }
    }
  }

  #hold({ wanted, inEffect }: Suspect, { message }: Error, now: number): void {
    this.#rows.set(nameOf(wanted), {
      ...{ refused: JSON.stringify(wanted), instead: inEffect, why: message },
      due: now + RETRY_MS,
    });
  }

  #release({ wanted }: Suspect): void {
    this.#rows.delete(nameOf(wanted));
  }

  #rowOf(network: SharedNetwork): Holdback | undefined {
    const row = this.#rows.get(nameOf(network));
    if (row === undefined || row.refused !== JSON.stringify(network)) return undefined;
    return row;
  }
}

function nameOf({ network }: SharedNetwork): string {
  return network.name;
}
