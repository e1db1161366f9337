// Addresses that Docker has given back, and that the store shall be told of sooner or later.

import type { Logger } from 'pino';
import { isPassing } from './deadline.js';
import type { DockerHost } from './host.js';
import type { Notebook, Release } from './notebook.js';

/** Gives back at once where it can, and again at every `settle` until it could. Never rejects. */
export class Releases {
  readonly #host: DockerHost;
  readonly #notebook: Notebook;
  readonly #log: Logger;

  constructor(host: DockerHost, notebook: Notebook, log: Logger) {
    this.#host = host;
    this.#notebook = notebook;
    this.#log = log;
  }

  get areSettled(): boolean {
    return this.#notebook.notes.releases.length === 0;
  }

  /** It is in the notes before it is tried, so that a crash in between costs nothing. */
  async add(network: string, address: string): Promise<void> {
    this.cancel(network, address);
    const release: Release = { network, address };
    this.#notebook.notes.releases.push(release);
    await this.#notebook.save();
    await this.#try(release);
  }

  /** The address is in use again. */
  cancel(network: string, address: string): void {
    this.#keep((other) => other.network !== network || other.address !== address);
  }

  async settle(): Promise<void> {
    for (const release of [...this.#notebook.notes.releases]) await this.#try(release);
  }

  async #try(release: Release): Promise<void> {
    // It may have been cancelled while others were tried.
    if (!this.#notebook.notes.releases.includes(release)) return;
    const { network, address } = release;
    try {
      await this.#host.release(network, address);
    } catch (error) {
      const again = isPassing(error);
      const detail = (error as Error).message;
      this.#log.warn({ network, address, again, detail }, 'docker: address not given back');
      if (again) return;
    }
    this.#keep((other) => other !== release);
    await this.#notebook.save();
  }

  #keep(isKept: (release: Release) => boolean): void {
    const { notes } = this.#notebook;
    notes.releases = notes.releases.filter(isKept);
  }
}
