/** A ping that goes on, to see what a fault does to traffic. */

import type { Child } from './child.js';
import type { TestContainer } from './dockerLab.js';
import { eventually } from './eventually.js';
import type { Scope } from './scope.js';

export class Pinger {
  readonly #name: string;
  readonly #child: Child;

  private constructor(name: string, child: Child) {
    this.#name = name;
    this.#child = child;
  }

  /** Asks five times a second; resolves after the first answer. */
  static async start(scope: Scope, from: TestContainer, to: string): Promise<Pinger> {
    const child = await from.spawn(scope, ['ping', '-n', '-i', '0.2', to]);
    const pinger = new Pinger(`${from.name} -> ${to}`, child);
    await pinger.goesOn();
    return pinger;
  }

  get answers(): number {
    return [...this.#child.stdout.matchAll(/bytes from .*icmp_seq=/g)].length;
  }

  /** Waits for two more answers: the first may have been on its way. */
  async goesOn(within = 10_000): Promise<void> {
    const before = this.answers;
    await eventually(
      `${this.#name} is answered`,
      () => {
        if (!this.#child.running) throw new Error(this.#child.describe());
        return this.answers >= before + 2;
      },
      { within },
    );
  }
}
