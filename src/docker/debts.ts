// What must be told to the store, sooner or later: Docker itself has forgotten it already.

import type { Logger } from 'pino';
import { SwitchError } from '../model/error.js';
import { isPassing } from './deadline.js';
import type { DockerHost } from './host.js';
import type { Debt, Notebook } from './notebook.js';

/** Pays at once where it can, and again at every `settle` until it could. Never rejects. */
export class Debts {
  readonly #host: DockerHost;
  readonly #notebook: Notebook;
  readonly #log: Logger;

  constructor(host: DockerHost, notebook: Notebook, log: Logger) {
    this.#host = host;
    this.#notebook = notebook;
    this.#log = log;
  }

  get areOpen(): boolean {
    return this.#notebook.notes.debts.length > 0;
  }

  /** A debt is in the notes before it is paid, so that a crash between costs nothing. */
  async owe(debt: Debt): Promise<void> {
    this.cancel((other) => isSame(other, debt));
    this.#notebook.notes.debts.push(debt);
    await this.#notebook.save();
    await this.#pay(debt);
  }

  /** What was to be given up is wanted again. */
  cancel(isWanted: (debt: Debt) => boolean): void {
    const { notes } = this.#notebook;
    notes.debts = notes.debts.filter((debt) => !isWanted(debt));
  }

  async settle(): Promise<void> {
    for (const debt of [...this.#notebook.notes.debts]) await this.#pay(debt);
  }

  async #pay(debt: Debt): Promise<void> {
    // It may have been cancelled while others were paid.
    if (!this.#notebook.notes.debts.includes(debt)) return;
    try {
      if (debt.kind === 'leave') await this.#host.leave(debt.network);
      else await this.#host.release(debt.network, debt.address);
    } catch (error) {
      const again = isPassing(error) || isInUse(error);
      this.#log.warn({ ...debt, again, detail: (error as Error).message }, 'docker: not given up');
      if (again) return;
    }
    this.cancel((other) => other === debt);
    await this.#notebook.save();
  }
}

/** Docker says that nobody uses it: then another host has not told yet that its containers are gone. */
function isInUse(error: unknown): boolean {
  return error instanceof SwitchError && error.code === 'NETWORK_IN_USE';
}

function isSame(a: Debt, b: Debt): boolean {
  if (a.kind !== b.kind || a.network !== b.network) return false;
  return a.kind === 'leave' || (b.kind === 'release' && a.address === b.address);
}
