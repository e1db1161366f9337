// What the API may be asked: bodies, paths and queries. Bodies have the shape of the file.

import * as z from 'zod';
import { hostAddress, list, MAC_PATTERN, mapping, name, oneOf, text } from '../config/leaf.js';
import {
  fdbSchema,
  networkRequestSchema,
  peerSchema,
  portSchema,
  ticketSchema,
} from '../config/networkSchema.js';
import { type Mac, parseMac } from '../model/mac.js';

export const networkParam = mapping({ network: name() });
export const portParam = mapping({ port: name() });

export const hostParam = mapping({ host: hostAddress() });

const PEER_TEXT = {
  description: 'ADDRESS, ADDRESS:PORT or [IPV6]:PORT',
  pattern: '^(\\[[0-9A-Fa-f:.]+\\]|[0-9A-Fa-f:.]+)(:[0-9]{1,5})?$',
};
const peerText = z
  .string()
  .meta(PEER_TEXT)
  .transform((raw): unknown => raw)
  .pipe(peerSchema);
export const peerParam = mapping({ network: name(), peer: peerText });

export const fdbParam = mapping({
  network: name(),
  mac: text('a MAC address', (raw): Mac | undefined => parseMac(raw), MAC_PATTERN),
});

export const networkQuery = mapping({ network: name().optional() });

/** A peer may be written as text; the schema of the mapping alone does not tell. */
export function tellPeerText({ zodSchema, jsonSchema }: Described): void {
  if (zodSchema !== peerSchema) return;
  const mapped = { ...jsonSchema };
  for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
  jsonSchema.anyOf = [{ type: 'string', ...PEER_TEXT }, mapped];
}

interface Described {
  readonly zodSchema: unknown;
  readonly jsonSchema: Record<string, unknown>;
}

/** Memory ports are for tests of the datapath. */
const offeredKind = oneOf('tap', 'packet').default('tap');

export const addNetworkBody = networkRequestSchema.extend({
  ports: list(portSchema.extend({ kind: offeredKind }), 'ports').default([]),
});

/** Without name, the port is called after its namespace. */
export const addPortBody = portSchema
  .extend({
    name: name().optional(),
    kind: offeredKind,
    handover: ticketSchema.optional(),
  })
  .refine((port) => port.netns === undefined || port.handover === undefined, {
    error: 'a namespace to enter, or a TAP that was handed over: not both',
  });

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
