// The runtime state on disk: one JSON file beside the control socket, replaced atomically.

import { constants } from 'node:fs';
import { open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { problemsOf } from '../config/problem.js';
import { problemText, SwitchError } from '../model/error.js';
import { emptyState, type RuntimeState, STATE_VERSION, stateSchema } from './runtimeState.js';

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;

export interface LoadedState {
  readonly state: RuntimeState;
  /** Set when the file was broken and was moved aside. */
  readonly broken?: string;
}

/** `control.sock` -> `control.state.json` */
export function statePathOf(socket: string): string {
  return `${socket.replace(/\.sock$/, '')}.state.json`;
}

/**
 * Reads the state; none yet is an empty one. A broken file is moved aside (nothing is lost) and
 * told in `broken`, so that the next start is not broken by it again. Throws STATE_NEWER, and
 * STATE_UNWRITABLE when it cannot be moved.
 */
export async function loadState(path: string, now: Date): Promise<LoadedState> {
  const text = await readOptional(path);
  if (text === undefined) return { state: emptyState };
  let why: string;
  try {
    const raw: unknown = JSON.parse(text);
    if (versionOf(raw) > STATE_VERSION) throw new SwitchError('STATE_NEWER', path);
    const { data, error } = stateSchema.safeParse(raw);
    if (data !== undefined) {
      const { version: _, ...state } = data;
      return { state };
    }
    why = problemsOf(error.issues, raw).map(problemText).join('; ');
  } catch (error) {
    if (error instanceof SwitchError) throw error;
    why = (error as Error).message;
  }
  const aside = `${path}.broken-${now.toISOString().replaceAll(':', '')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    throw new SwitchError('STATE_UNWRITABLE', path, {
      why: `it is broken (${why}) and cannot be moved aside`,
      detail: (error as Error).message,
    });
  }
  return {
    state: emptyState,
    broken: `the state file ${path} was broken (${why}); it was moved to ${aside} and vswitchd runs with the configuration file alone`,
  };
}

/** A new state that is safe on disk, but not yet in effect. Exactly one of its methods is called, once. */
export interface PreparedState {
  /** Puts it in the old one's place. Throws STATE_UNWRITABLE; then the old one stays. */
  commit(): Promise<void>;
  /** Never throws: what it leaves is unlinked by the next `prepareState`. */
  discard(): Promise<void>;
}

/**
 * Writes beside and syncs; `commit` renames over: a crash leaves the old file or the new one.
 * Throws STATE_UNWRITABLE.
 */
export async function prepareState(path: string, state: RuntimeState): Promise<PreparedState> {
  const temporary = `${path}.new`;
  const discard = () => rm(temporary, { force: true }).catch(() => {});
  const orRefuse = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      await discard();
      throw unwritable(path, error);
    }
  };
  await orRefuse(async () => {
    await rm(temporary, { force: true });
    // Neither through a link nor into a file that somebody else put there.
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ version: STATE_VERSION, ...state }, null, 2)}\n`);
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

/** Refuses a directory in which others could replace our files. Throws SOCKET_UNUSABLE. */
export async function requireSafeDirectory(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o022) === 0 || (mode & 0o1000) !== 0) return;
  throw new SwitchError('SOCKET_UNUSABLE', path, {
    why: `others may replace files in the directory (mode ${(mode & 0o7777).toString(8)})`,
    fix: `\`chmod go-w ${path}\`, or choose another directory with --socket`,
  });
}

function unwritable(path: string, error: unknown): SwitchError {
  return new SwitchError('STATE_UNWRITABLE', path, { detail: (error as Error).message });
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
