import { setTimeout as delay } from 'node:timers/promises';
import type { Scope } from '../support/scope.js';
import type { Engine, Others } from './engine.js';
import { openRemote } from './remote.js';

/** `address` is called when the tests run. */
export function consulEngine(
  scope: Scope,
  address: () => string,
): Engine & { readonly others: Others } {
  const kv = async (key: string, init?: RequestInit): Promise<Buffer> => {
    const answer = await fetch(`http://${address()}/v1/kv/${encodeURI(key)}?raw`, init);
    if (!answer.ok) throw new Error(`${key}: ${answer.status} ${await answer.text()}`);
    return Buffer.from(await answer.arrayBuffer());
  };
  return {
    open: async (prefix) => await openRemote(scope, `consul://${address()}/${prefix}`),
    pass: async (secs) => await delay(secs * 1000),
    others: {
      put: async (key, value) => {
        await kv(key, { method: 'PUT', body: value });
      },
      get: async (key) => await kv(key),
    },
  };
}
