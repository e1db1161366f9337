// This host's part in the store that the settings name, opened and begun.

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import * as z from 'zod';
import { mapping } from '../config/leaf.js';
import type { StoreSettings } from '../config/storeSchema.js';
import type { VtepSettings } from '../model/network.js';
import type { Sharing } from '../overlay/shared.js';
import { systemClock } from '../overlay/sharing/clock.js';
import type { Occupied } from '../overlay/sharing/networks.js';
import { StoreSharing } from '../overlay/sharing/storeSharing.js';
import { localStorePathOf } from '../store/localFile.js';
import { openStore } from '../store/openStore.js';
import { loadOwn, saveOwn } from './ownFile.js';

export interface StoreSideParts {
  readonly settings: StoreSettings;
  readonly vtep: VtepSettings;
  /** What belongs to this daemon stands beside it. */
  readonly socket: string;
  /** What only this host knows to be taken. */
  readonly occupied: () => Occupied;
  readonly log: Logger;
}

export interface StoreSide {
  readonly sharing: Sharing;
  /** As in `status`. */
  readonly name: string;
  /** No other host has part in the store. */
  readonly isPrivate: boolean;
  /** What was wrong but not fatal. */
  readonly warnings: readonly string[];
  /** Any number of times. What this host told stays until its lease ends. */
  close(): Promise<void>;
}

/** Throws as `openStore` does; a store that does not answer is none of that. */
export async function openStoreSide(parts: StoreSideParts): Promise<StoreSide> {
  const { settings, vtep, socket, occupied, log } = parts;
  const machine = await machineOf(socket);
  const { store, broken } = await openStore(settings, { path: localStorePathOf(socket) });
  const sharing = new StoreSharing({
    ...{ store, occupied, log, clock: systemClock, random: Math.random },
    self: { address: vtep.address, port: vtep.port, name: hostname(), machine },
  });
  const close = async () => {
    await sharing.stop();
    await store.close();
  };
  await sharing.start();
  return {
    ...{ sharing, close },
    name: store.name,
    isPrivate: store.kind === 'local',
    warnings: broken === undefined ? [] : [broken],
  };
}

const machineSchema = mapping({ version: z.literal(1), machine: z.uuid() });

/** Tells two machines with one VTEP address apart. */
async function machineOf(socket: string): Promise<string> {
  const path = `${socket.replace(/\.sock$/, '')}.machine.json`;
  const known = await loadOwn(path, machineSchema);
  if (known !== undefined) return known.machine;
  const machine = randomUUID();
  await saveOwn(path, { version: 1, machine });
  return machine;
}
