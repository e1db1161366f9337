// The store's contents as this host last saw them, and what follows from them.

import { decode, type Item, keys } from '../../store/records.js';
import type { Change, Condition, Entry, Snapshot } from '../../store/store.js';
import type { SharedState } from '../shared.js';
import { Tables, type TablesParts } from './tables.js';

const MOST_GARBAGE = 100;

export interface GarbageEntry {
  readonly key: string;
  readonly why: string;
}

/** What decisions are made on. */
export interface View {
  readonly state: SharedState;
  isLive(vtep: string): boolean;
  /** What stands in the store under the key, garbage too; `undefined`: nothing. */
  text(key: string): string | undefined;
  /** Holds as long as the key stays as this view has it. */
  unchanged(key: string): Condition;
  /** Whether the key is there, or was before the store lost its contents: not to be given again. */
  has(key: string): boolean;
}

export interface MirrorParts extends TablesParts {
  /** Called once for each of the first 100 keys that are garbage. */
  readonly onGarbage: (entry: GarbageEntry) => void;
  /** Called for every record that is new, has changed, or is gone. */
  readonly onItem: (item: Item, isThere: boolean) => void;
}

/**
 * A store that has lost its contents bears another ID, or none. Then everything that it no longer
 * shows is held: it counts as before, until somebody brings it back or `release` gives it up.
 */
export class Mirror implements View {
  readonly #listeners: (() => void)[] = [];
  readonly #entries = new Map<string, Entry>();
  /** Valid records, the held ones too. */
  readonly #items = new Map<string, Item>();
  readonly #held = new Set<string>();
  readonly #garbage = new Map<string, GarbageEntry>();
  readonly #tables: Tables;
  readonly #parts: MirrorParts;
  #heldSince: number | undefined;

  constructor(parts: MirrorParts) {
    this.#tables = new Tables(parts);
    this.#parts = parts;
  }

  /** Calls back after every change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Takes the place of everything. */
  install(snapshot: Snapshot): void {
    const gone = [...this.#entries.keys()].filter((key) => !snapshot.entries.has(key));
    this.apply([
      ...gone.map((key) => ({ key })),
      ...[...snapshot.entries].map(([key, entry]) => ({ key, entry })),
    ]);
  }

  apply(changes: readonly Change[]): void {
    const isOther = this.#isOtherStore(changes);
    if (isOther) this.#heldSince = this.#parts.now();
    for (const { key, entry } of changes) {
      if (entry !== undefined) this.#put(key, entry);
      else this.#remove(key, isOther);
    }
    for (const listener of this.#listeners) listener();
  }

  get state(): SharedState {
    return this.#tables.state;
  }

  /** At most 100. */
  get garbage(): readonly GarbageEntry[] {
    return [...this.#garbage.values()].slice(0, MOST_GARBAGE);
  }

  isLive(vtep: string): boolean {
    return this.#tables.isLive(vtep);
  }

  /** Lost hosts, and how many milliseconds they are. */
  lost(): ReadonlyMap<string, number> {
    return this.#tables.lost();
  }

  text(key: string): string | undefined {
    return this.#entries.get(key)?.value;
  }

  unchanged(key: string): Condition {
    const entry = this.#entries.get(key);
    return entry === undefined ? { key, absent: true } : { key, revision: entry.revision };
  }

  has(key: string): boolean {
    return this.#entries.has(key) || this.#held.has(key);
  }

  item(key: string): Item | undefined {
    return this.#items.get(key);
  }

  /** What the store has lost and nobody has brought back. */
  held(): readonly Item[] {
    return [...this.#held].flatMap((key) => this.#items.get(key) ?? []);
  }

  /** When it was found that the store has lost its contents, as long as something is held. */
  get heldSince(): number | undefined {
    return this.#held.size === 0 ? undefined : this.#heldSince;
  }

  /** Gives up what is held. */
  release(): void {
    for (const key of [...this.#held]) this.#drop(key);
    for (const listener of this.#listeners) listener();
  }

  #isOtherStore(changes: readonly Change[]): boolean {
    const known = this.text(keys.store);
    const change = changes.find(({ key }) => key === keys.store);
    return known !== undefined && change !== undefined && change.entry?.value !== known;
  }

  #put(key: string, entry: Entry): void {
    const isSame = this.text(key) === entry.value;
    this.#entries.set(key, entry);
    if (isSame) return;
    this.#held.delete(key);
    const item = decode(key, entry.value);
    if (item.kind === 'garbage') {
      this.#drop(key);
      this.#report({ key, why: item.why });
      return;
    }
    this.#garbage.delete(key);
    this.#tables.put(item, this.#items.get(key));
    this.#items.set(key, item);
    this.#parts.onItem(item, true);
  }

  #remove(key: string, isLoss: boolean): void {
    if (!this.#entries.delete(key)) return;
    this.#garbage.delete(key);
    if (isLoss && this.#items.has(key)) this.#held.add(key);
    else this.#drop(key);
  }

  #drop(key: string): void {
    this.#held.delete(key);
    const item = this.#items.get(key);
    if (item === undefined) return;
    this.#tables.remove(item);
    this.#items.delete(key);
    this.#parts.onItem(item, false);
  }

  #report(entry: GarbageEntry): void {
    const isNew = !this.#garbage.has(entry.key);
    if (isNew && this.#garbage.size < MOST_GARBAGE) this.#parts.onGarbage(entry);
    this.#garbage.set(entry.key, entry);
  }
}
