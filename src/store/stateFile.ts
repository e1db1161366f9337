// The runtime state on disk: one JSON file beside the control socket, replaced atomically.

import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { problemsOf } from '../config/problem.js';
import { problemText, SwitchError } from '../model/error.js';
import { emptyState, type RuntimeState, STATE_VERSION, stateSchema } from './runtimeState.js';

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
 * told in `broken`, so that the next start is not broken by it again. Throws STATE_NEWER.
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
  await rename(path, aside);
  return {
    state: emptyState,
    broken: `the state file ${path} was broken (${why}); it was moved to ${aside} and vswitchd runs with the configuration file alone`,
  };
}

/** Writes beside, syncs, renames over: a crash leaves the old file or the new one. Throws STATE_UNWRITABLE. */
export async function saveState(path: string, state: RuntimeState): Promise<void> {
  const temporary = `${path}.new`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ version: STATE_VERSION, ...state }, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    // The first failure is the one to tell.
    await rm(temporary, { force: true }).catch(() => {});
    throw new SwitchError('STATE_UNWRITABLE', path, { detail: (error as Error).message });
  }
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
