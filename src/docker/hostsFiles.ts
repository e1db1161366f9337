// Names of other hosts' containers where dockerd knows only its own (local scope): a block of lines in the
// `/etc/hosts` of this host's containers. dockerd writes that file when a container starts or is
// connected, so every look checks it again.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Engine } from './engine.js';
import type { DockerHost } from './host.js';
import type { Networks } from './networks.js';
import type { Notebook } from './notebook.js';

const BEGIN = '# vswitchd: containers on other hosts';
const END = '# vswitchd: end';

/** A container may write its own file: a larger one is left alone. */
const FILE_MAX = 1024 * 1024;

/** Names come from the store, and stand in a file that resolvers read. */
const HOST_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,252}$/;

/** The file with our block holding these lines, or with none. Other lines stay as they are. */
export function withBlock(text: string, lines: readonly string[]): string {
  const old = text.split('\n');
  const begin = old.indexOf(BEGIN);
  const end = old.indexOf(END, begin);
  const rest = begin < 0 ? old : old.toSpliced(begin, end < 0 ? 1 : end - begin + 1);
  if (lines.length === 0) return rest.join('\n');
  while (rest.at(-1) === '') rest.pop();
  return `${[...rest, BEGIN, ...lines, END].join('\n')}\n`;
}

export interface HostsFilesParts {
  readonly host: DockerHost;
  readonly engine: Engine;
  readonly notebook: Notebook;
  readonly networks: Networks;
  readonly log: Logger;
}

/** A running container and its endpoints. */
interface Tenant {
  readonly id: string;
  readonly endpoints: readonly string[];
}

export class HostsFiles {
  readonly #parts: HostsFilesParts;
  /** What our block holds, by container. */
  #written = new Map<string, string>();

  constructor(parts: HostsFilesParts) {
    this.#parts = parts;
  }

  /** Looks into each file again, even where our lines are the same as last time. Never rejects. */
  async check(tenants: readonly Tenant[]): Promise<void> {
    this.#written.clear();
    await this.follow(tenants);
  }

  /** Brings our lines up to date. Never rejects. */
  async follow(tenants: readonly Tenant[]): Promise<void> {
    const { notebook } = this.#parts;
    const lines = this.#linesOf(tenants);
    const former = [...notebook.notes.hostsFiles.keys()].filter((id) => !lines.has(id));
    for (const id of former) lines.set(id, []);
    for (const [id, wanted] of lines) {
      if (this.#written.get(id) === wanted.join('\n')) continue;
      try {
        await this.#write(id, wanted);
        this.#written.set(id, wanted.join('\n'));
      } catch (error) {
        const detail = (error as Error).message;
        this.#parts.log.debug({ container: id, detail }, 'docker: hosts file left alone');
      }
    }
  }

  /** By container; only of those that have lines. */
  #linesOf(tenants: readonly Tenant[]): Map<string, string[]> {
    const { host } = this.#parts;
    const networkOf = new Map(host.endpoints().map(({ id, network }) => [id, network]));
    const elsewhere = new Map<string, string[]>();
    const linesIn = (network: string) => {
      const lines = elsewhere.get(network) ?? this.#linesIn(network);
      elsewhere.set(network, lines);
      return lines;
    };
    const pairs = tenants.map(({ id, endpoints }) => {
      const networks = new Set(endpoints.flatMap((endpoint) => networkOf.get(endpoint) ?? []));
      return [id, [...networks].sort().flatMap(linesIn)] as const;
    });
    return new Map(pairs.filter(([, lines]) => lines.length > 0));
  }

  #linesIn(network: string): string[] {
    const { host, networks } = this.#parts;
    const id = host.networks().find(({ name }) => name === network)?.docker_id;
    // dockerd's own name server knows the names of all hosts.
    if (id === undefined || networks.scopeOf(id) === 'global') return [];
    const here = new Set(
      host
        .endpoints()
        .filter((endpoint) => endpoint.network === network)
        .flatMap(({ addresses }) => addresses.map((text) => text.split('/', 1)[0])),
    );
    const named = new Map<string, Set<string>>();
    for (const { name, addresses } of host.names(network)) {
      if (!HOST_NAME.test(name)) continue;
      for (const address of addresses.filter((one) => !here.has(one))) {
        const names = named.get(address) ?? new Set();
        named.set(address, names.add(name).add(`${name}.${network}`));
      }
    }
    return [...named]
      .map(([address, names]) => `${address}\t${[...names].sort().join(' ')}`)
      .sort();
  }

  async #write(id: string, lines: readonly string[]): Promise<void> {
    const { engine, notebook } = this.#parts;
    const { hostsFiles } = notebook.notes;
    const path = hostsFiles.get(id) ?? (await engine.container(id))?.hostsPath;
    if (path === undefined) return;
    // Before the file is: so that a later run finds our lines.
    if (lines.length > 0 && !hostsFiles.has(id)) {
      hostsFiles.set(id, path);
      await notebook.save();
    }
    await rewrite(path, lines);
    if (lines.length === 0 && hostsFiles.delete(id)) await notebook.save();
  }
}

/** In place: containers have the file mounted, so it must stay the same inode. A missing one is none. */
async function rewrite(path: string, lines: readonly string[]): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    const { size } = await file.stat();
    if (size > FILE_MAX) throw new Error(`it has ${size} bytes`);
    const old = await file.readFile('utf8');
    const text = withBlock(old, lines);
    if (text === old) return;
    const bytes = Buffer.from(text);
    await file.write(bytes, 0, bytes.length, 0);
    await file.truncate(bytes.length);
  } finally {
    await file.close();
  }
}
