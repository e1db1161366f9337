// What outlives the process: JSON files with `version`, which a crash leaves old or new, never half.

import { constants } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type * as z from 'zod';
import { problemsOf } from '../config/problem.js';
import { problemText, SwitchError } from '../model/error.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export interface Format<T> {
  /** Raised when older programs could misread what newer ones write. */
  readonly version: number;
  readonly schema: z.ZodType<T>;
}

/** Nothing in it: there is no such file. */
export interface Loaded<T> {
  readonly value?: T;
  /** It was broken, and was moved aside so that nothing is lost and the next start is not broken by it again. */
  readonly broken?: { readonly why: string; readonly aside: string };
}

/**
 * `now` is for the name of a broken file. Throws CONFIG_UNREADABLE, STATE_NEWER when a later version wrote
 * it, and STATE_UNWRITABLE when a broken one cannot be moved.
 */
export async function loadJson<T>(path: string, format: Format<T>, now: Date): Promise<Loaded<T>> {
  const text = await readOptional(path);
  if (text === undefined) return {};
  let why: string;
  try {
    const raw: unknown = JSON.parse(text);
    if (versionOf(raw) > format.version) throw new SwitchError('STATE_NEWER', path);
    const { data, error } = format.schema.safeParse(raw);
    if (error === undefined) return { value: data };
    why = problemsOf(error.issues, raw).map(problemText).join('; ');
  } catch (error) {
    if (error instanceof SwitchError) throw error;
    why = (error as Error).message;
  }
  return { broken: { why, aside: await moveAside(path, why, now) } };
}

/** A new content that is safe on disk, but not yet in place. Exactly one of its methods is called, once. */
export interface PreparedFile {
  /** Puts it in the old one's place; when that throws, the old one stays. */
  commit(): Promise<void>;
  /** Never throws: what it leaves is unlinked by the next `prepareJson`. */
  discard(): Promise<void>;
}

/**
 * Writes beside `path` and syncs; `commit` renames over. Readable for the owner alone. Both throw what
 * `refusal` makes of the system's error.
 */
export async function prepareJson(
  path: string,
  value: unknown,
  refusal: (error: Error) => SwitchError,
): Promise<PreparedFile> {
  const temporary = `${path}.new`;
  const discard = () => rm(temporary, { force: true }).catch(() => {});
  const orRefuse = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      await discard();
      throw refusal(error as Error);
    }
  };
  await orRefuse(async () => {
    await rm(temporary, { force: true });
    // Neither through a link nor into a file that somebody else put there.
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  });
  return {
    discard,
    commit: async () => {
      await orRefuse(() => rename(temporary, path));
      // The new file is in place: when this fails, only a power failure could bring back the old one.
      await syncDirectory(dirname(path)).catch(() => {});
    },
  };
}

async function moveAside(path: string, why: string, now: Date): Promise<string> {
  const aside = `${path}.broken-${now.toISOString().replaceAll(':', '')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    throw new SwitchError('STATE_UNWRITABLE', path, {
      why: `it is broken (${why}) and cannot be moved aside`,
      detail: (error as Error).message,
    });
  }
  return aside;
}

/** Without this the rename itself may be lost at power failure. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new SwitchError('CONFIG_UNREADABLE', path, { detail: (error as Error).message });
  }
}

function versionOf(raw: unknown): number {
  const version = (raw as { version?: unknown } | null)?.version;
  return typeof version === 'number' ? version : 0;
}
