// The file of the `local` store, beside the control socket.

import * as z from 'zod';
import { list, mapping } from '../config/leaf.js';
import { SwitchError } from '../model/error.js';
import { loadJson, prepareJson } from './jsonFile.js';

const VERSION = 1;

const contentSchema = mapping({
  version: z.literal(VERSION, { error: String(VERSION) }),
  /** Grows with every change. */
  revision: z.int().min(0),
  leases: z.record(z.string(), mapping({ ttl: z.number().positive() })),
  entries: list(
    mapping({
      key: z.string().min(1),
      value: z.string(),
      /** Of its last change. */
      revision: z.int().min(1),
      lease: z.string().optional(),
    }),
    'entries',
  ),
});

export type LocalContent = Omit<z.output<typeof contentSchema>, 'version'>;

/** `control.sock` -> `control.store.json` */
export function localStorePathOf(socket: string): string {
  return `${socket.replace(/\.sock$/, '')}.store.json`;
}

/** None yet is an empty one. Throws as `loadJson` does. `broken` says where a broken one is now, and why. */
export async function loadLocal(
  path: string,
  now: Date,
): Promise<{ readonly content: LocalContent; readonly broken?: string }> {
  const { value, broken } = await loadJson(path, { version: VERSION, schema: contentSchema }, now);
  if (value !== undefined) return { content: value };
  const content = { revision: 0, leases: {}, entries: [] };
  if (broken === undefined) return { content };
  return {
    content,
    broken: `the store file ${path} was broken (${broken.why}); it was moved to ${broken.aside} and the store is empty`,
  };
}

/** Throws STORE_REFUSED; then the old content stays. */
export async function saveLocal(path: string, content: LocalContent): Promise<void> {
  const file = await prepareJson(
    path,
    { version: VERSION, ...content },
    ({ message }) => new SwitchError('STORE_REFUSED', path, { detail: message }),
  );
  await file.commit();
}
