// What this host tells the others of its containers.

import type { SharedNetwork } from '../store/runtimeState.js';
import { announcedBy, type Knowledge, type Settings } from './settings.js';
import type { LocalEndpoint, Sharing } from './shared.js';

export class Announcer {
  readonly #sharing: Pick<Sharing, 'announce'>;
  /** Networks that this host gives up: it goes on with them, but tells nobody of its containers there. */
  readonly #leaving = new Map<string, SharedNetwork>();
  #announced: readonly LocalEndpoint[] = [];
  /** Nothing was announced before the first time: not even that there is nothing. */
  #text: string | undefined;

  constructor(sharing: Pick<Sharing, 'announce'>) {
    this.#sharing = sharing;
  }

  get announced(): readonly LocalEndpoint[] {
    return this.#announced;
  }

  /** Nothing happens when nothing has changed. */
  announce(settings: Settings): void {
    this.#announced = announcedBy(settings).filter(({ network }) => !this.#leaving.has(network));
    const text = JSON.stringify(this.#announced);
    if (text !== this.#text) this.#sharing.announce(this.#announced);
    this.#text = text;
  }

  /** From now on the network is given up, until `stay`. */
  leave(network: SharedNetwork): void {
    this.#leaving.set(network.network.name, network);
  }

  stay(network: SharedNetwork): void {
    this.#leaving.delete(network.network.name);
  }

  /** With the networks that are given up as they were: whatever the store says of them, they go by our hand. */
  held(knowledge: Knowledge): Knowledge {
    if (this.#leaving.size === 0) return knowledge;
    const rest = knowledge.networks.filter(({ network }) => !this.#leaving.has(network.name));
    return { ...knowledge, networks: [...rest, ...this.#leaving.values()] };
  }
}
