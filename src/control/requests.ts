// What the API may be asked: bodies, paths and queries. Bodies have the shape of the file.

import type * as z from 'zod';
import { mapping, name, text } from '../config/leaf.js';
import {
  fdbSchema,
  networkRequestSchema,
  peerSchema,
  portSchema,
} from '../config/networkSchema.js';
import { type Mac, parseMac } from '../model/mac.js';

export const networkParam = mapping({ network: name() });
export const portParam = mapping({ port: name() });

/** `ADDR`, `ADDR:PORT` or `[V6]:PORT`. */
export const peerParam = mapping({ network: name(), peer: peerSchema });

export const fdbParam = mapping({
  network: name(),
  mac: text('a MAC address', (raw): Mac | undefined => parseMac(raw)),
});

export const networkQuery = mapping({ network: name().optional() });

export const addNetworkBody = networkRequestSchema;

/** Without name, the port is called after its namespace. */
export const addPortBody = portSchema.extend({ name: name().optional() });

export const addPeerBody = peerSchema;

export const addFdbBody = fdbSchema;

/** The entry that takes the place of the MAC's. */
export const replaceFdbBody = fdbSchema.omit({ mac: true });

export const flushBody = mapping({
  network: name().optional(),
  port: name().optional(),
});

export type AddNetworkBody = z.input<typeof addNetworkBody>;
export type AddPortBody = z.input<typeof addPortBody>;
export type AddFdbBody = z.input<typeof addFdbBody>;
export type ReplaceFdbBody = z.input<typeof replaceFdbBody>;
export type FlushBody = z.input<typeof flushBody>;
