// Small JSON files of this daemon, beside its socket.

import * as z from 'zod';
import { mapping } from '../config/leaf.js';
import type { Memory } from '../docker/host.js';
import { SwitchError } from '../model/error.js';
import { loadJson, prepareJson } from '../store/jsonFile.js';

/** `undefined` when there is none, or it was broken: then it stands aside now. Throws as `loadJson`. */
export async function loadOwn<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  return (await loadJson(path, { version: 1, schema }, new Date())).value;
}

/** Whole or not at all. Throws STATE_UNWRITABLE. */
export async function saveOwn<T extends { readonly version: 1 }>(
  path: string,
  value: T,
): Promise<void> {
  const refusal = ({ message }: Error) =>
    new SwitchError('STATE_UNWRITABLE', path, { detail: message });
  await (await prepareJson(path, value, refusal)).commit();
}

const memorySchema = mapping({ version: z.literal(1), value: z.unknown() });

/** What Docker's drivers remember, in `control.docker.json` beside `control.sock`. */
export function dockerMemory(socket: string): Memory {
  const path = `${socket.replace(/\.sock$/, '')}.docker.json`;
  return {
    load: async () => (await loadOwn(path, memorySchema))?.value,
    save: (value) => saveOwn(path, { version: 1, value }),
  };
}
