// What the three stores have in common: what they refuse alike, how long they wait, and what changed.

import { SwitchError } from '../model/error.js';
import {
  type Change,
  type Entry,
  STORE_PATIENCE_MS,
  TRANSACTION_MAX,
  type Transaction,
} from './store.js';

/** Bytes. etcd takes 1.5 MiB in one request, Consul 512 KiB. */
const VALUE_MAX = 256 * 1024;
const KEY = /^[A-Za-z0-9._:-][A-Za-z0-9._:/-]*$/;

/** Throws STORE_REFUSED for what one of the stores would not take; `store` is its name. */
export function requireFit(store: string, { conditions, writes }: Transaction): void {
  const refuse = (why: string) => new SwitchError('STORE_REFUSED', store, { why });
  const size = conditions.length + writes.length;
  if (size > TRANSACTION_MAX) {
    throw refuse(`${size} conditions and writes are more than ${TRANSACTION_MAX} at once`);
  }
  for (const part of [conditions, writes]) {
    const keys = new Set(part.map(({ key }) => key));
    if (keys.size < part.length) throw refuse('a key stands in the transaction twice');
    for (const key of keys) if (!KEY.test(key)) throw refuse(`"${key}" is no key`);
  }
  for (const write of writes) {
    if ('value' in write && Buffer.byteLength(write.value) > VALUE_MAX) {
      throw refuse(`the value of ${write.key} is larger than ${VALUE_MAX} bytes`);
    }
  }
}

/** What turns one content of a store into a later one. */
export function changesBetween(
  before: ReadonlyMap<string, Entry>,
  after: ReadonlyMap<string, Entry>,
): Change[] {
  const changes: Change[] = [];
  for (const [key, entry] of after) {
    if (before.get(key)?.revision !== entry.revision) changes.push({ key, entry });
  }
  for (const key of before.keys()) if (!after.has(key)) changes.push({ key });
  return changes;
}

/** The end of `work`, or STORE_DOWN after `STORE_PATIENCE_MS`; then it may still have its effect. */
export async function patiently<T>(store: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expiry = new Promise<never>((_, reject) => {
    const why = `it did not answer within ${STORE_PATIENCE_MS / 1000} s`;
    const expire = () => reject(new SwitchError('STORE_DOWN', store, { why }));
    timer = setTimeout(expire, STORE_PATIENCE_MS);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}
