// What Docker tells once and never again, so that a new run of vswitchd knows it too.

import type { Logger } from 'pino';
import * as z from 'zod';
import type { Mac } from '../model/mac.js';
import { parseMac } from '../model/mac.js';
import type { Memory } from './host.js';

const NOTES_VERSION = 1;

/** What our IPAM driver gave for a RequestPool. */
const poolNote = z.object({
  subnet: z.string(),
  gateway: z.string(),
  range: z.string().optional(),
  /** The user named the subnet; otherwise it is only what Docker shows. */
  explicit: z.boolean(),
  /** Of `--ipam-opt network=NAME`. */
  network: z.string().optional(),
  /** Of the network that was made with it, as soon as CreateNetwork has told. */
  networkId: z.string().optional(),
  /** Of `--aux-address`; with prefix length. */
  reserved: z.array(z.string()),
  /** Unix milliseconds of the request. */
  at: z.number(),
});
export type PoolNote = z.output<typeof poolNote>;

const endpointNote = z.object({
  networkId: z.string(),
  mac: z.string().transform((text, context): Mac => {
    const mac = parseMac(text);
    if (mac !== undefined) return mac;
    context.issues.push({ code: 'custom', input: text, message: 'a MAC address' });
    return z.NEVER;
  }),
  /** With prefix length. */
  addresses: z.array(z.string()),
  /** Those of them that we took from the store ourselves, because Docker's own IPAM chose them. */
  taken: z.array(z.string()),
});
export type EndpointNote = z.output<typeof endpointNote>;

/** An address that Docker has given back and the store has not been told of. */
const releaseNote = z.object({ network: z.string(), address: z.string() });
export type Release = z.output<typeof releaseNote>;

const mapOf = <S extends z.ZodType>(of: S) =>
  z.record(z.string(), of).transform((record) => new Map(Object.entries(record)));

const notesSchema = z.object({
  version: z.literal(NOTES_VERSION),
  /** What we last told dockerd our networks' scope is. */
  scope: z.enum(['local', 'global']).optional(),
  /** By PoolID. */
  pools: mapOf(poolNote),
  /** By EndpointID, from CreateEndpoint to DeleteEndpoint. */
  endpoints: mapOf(endpointNote),
  releases: z.array(releaseNote),
  /** NetworkIDs that Docker removed here, the last ones last; they never come back. */
  removed: z.array(z.string()),
  /** Paths of hosts files that hold lines of ours, by container. */
  hostsFiles: mapOf(z.string()),
});
export type Notes = z.output<typeof notesSchema>;

/** Change `notes` as you like, then `save`. */
export class Notebook {
  readonly notes: Notes;
  readonly #memory: Memory;
  readonly #log: Logger;
  #saving: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;

  private constructor(notes: Notes, memory: Memory, log: Logger) {
    this.notes = notes;
    this.#memory = memory;
    this.#log = log;
  }

  /** A memory of another shape is as good as none. */
  static async open(memory: Memory, log: Logger): Promise<Notebook> {
    const saved = await memory.load();
    if (saved === undefined) return new Notebook(blank(), memory, log);
    const { data, error } = notesSchema.safeParse(saved);
    if (error !== undefined) log.warn({ detail: error.message }, 'docker: memory is unreadable');
    return new Notebook(data ?? blank(), memory, log);
  }

  /**
   * Resolves when the notes, at least as of now, are safe; several at once become one. Never rejects: a
   * full disk is told, and must not stop containers.
   */
  save(): Promise<void> {
    this.#waiting ??= this.#saving.then(async () => {
      this.#waiting = undefined;
      try {
        await this.#memory.save(plain(this.notes));
      } catch (error) {
        this.#log.warn({ detail: (error as Error).message }, 'docker: memory cannot be saved');
      }
    });
    this.#saving = this.#waiting;
    return this.#waiting;
  }
}

function blank(): Notes {
  return {
    version: NOTES_VERSION,
    pools: new Map(),
    endpoints: new Map(),
    releases: [],
    removed: [],
    hostsFiles: new Map(),
  };
}

/** As JSON. */
function plain({ pools, endpoints, hostsFiles, ...rest }: Notes): unknown {
  return {
    ...rest,
    pools: Object.fromEntries(pools),
    endpoints: Object.fromEntries(endpoints),
    hostsFiles: Object.fromEntries(hostsFiles),
  };
}
