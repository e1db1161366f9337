// The runtime state on disk: one JSON file beside the control socket, replaced atomically.

import { stat } from 'node:fs/promises';
import { SwitchError } from '../model/error.js';
import { loadJson, type PreparedFile, prepareJson } from './jsonFile.js';
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
 * told in `broken`, so that the next start is not broken by it again. Throws STATE_NEWER, and
 * STATE_UNWRITABLE when it cannot be moved.
 */
export async function loadState(path: string, now: Date): Promise<LoadedState> {
  const format = { version: STATE_VERSION, schema: stateSchema };
  const { value, broken } = await loadJson(path, format, now);
  if (value !== undefined) {
    const { version: _, ...state } = value;
    return { state };
  }
  if (broken === undefined) return { state: emptyState };
  return {
    state: emptyState,
    broken: `the state file ${path} was broken (${broken.why}); it was moved to ${broken.aside} and vswitchd runs with the configuration file alone`,
  };
}

/** A new state that is safe on disk, but not yet in effect; its methods throw STATE_UNWRITABLE. */
export type PreparedState = PreparedFile;

/** A crash leaves the old state or the new one. Throws STATE_UNWRITABLE. */
export async function prepareState(path: string, state: RuntimeState): Promise<PreparedState> {
  return await prepareJson(
    path,
    { version: STATE_VERSION, ...state },
    ({ message }) => new SwitchError('STATE_UNWRITABLE', path, { detail: message }),
  );
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
