// History over the API: what changed what the switch does, or happened for the first time; and the FDB
// as it was.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { hostAddress, MAC_PATTERN, mapping, name, text } from '../config/leaf.js';
import { type Mac, parseMac } from '../model/mac.js';
import { parseTunnel } from '../model/vtep.js';
import { described } from './described.js';
import { fdbView } from './views.js';

/** Unix milliseconds. */
const moment = () =>
  text('a time as 2026-11-21T12:03:07Z', (raw) =>
    Number.isNaN(Date.parse(raw)) ? undefined : raw,
  ).transform((raw) => Date.parse(raw));

export const historyQuery = mapping({
  network: name().optional(),
  port: text('a port, or a tunnel such as 10.0.0.2:4789', (raw) =>
    name().safeParse(raw).success || parseTunnel(raw, 0) !== undefined ? raw : undefined,
  ).optional(),
  mac: text('a MAC address', (raw): Mac | undefined => parseMac(raw), MAC_PATTERN).optional(),
  ip: hostAddress().optional(),
  since: moment().optional(),
  /** Lines from this number on: `next` of an earlier answer. */
  from: z.coerce.number({ error: 'a whole number' }).int('a whole number').min(0).optional(),
});
export type HistoryQuery = z.output<typeof historyQuery>;

const lineView = z.object({
  seq: z.number(),
  at: z.string(),
  kind: z.string(),
  sentence: z.string().meta({ description: 'for an engineer who never saw the code' }),
  network: z.string().optional(),
  mac: z.string().optional(),
  ip: z.string().optional(),
  port: z.string().optional(),
  from: z.string().optional().meta({ description: 'where it was before' }),
  origin: z.string().optional(),
  from_origin: z.string().optional(),
  reason: z.string().optional().meta({ description: 'drop reason' }),
  count: z.number().optional(),
  detail: z.string().optional(),
});

export const historyView = z.object({
  complete_since: z.string().meta({ description: 'from here on nothing is missing' }),
  lines: z.array(lineView),
  next: z.number().meta({ description: 'number of the next line to come' }),
});
export type HistoryView = z.output<typeof historyView>;

export const pastFdbQuery = mapping({ network: name().optional(), at: moment() });
export type PastFdbQuery = z.output<typeof pastFdbQuery>;

/** What the daemon does about the past. */
export interface HistoryOperations {
  history(query: HistoryQuery): HistoryView;
  /** The FDB as it was, without entries that were not in effect. Throws NETWORK_UNKNOWN, TOO_LONG_AGO. */
  pastFdb(query: PastFdbQuery): z.output<typeof fdbView>[];
}

export function addHistoryRoutes(server: FastifyInstance, daemon: HistoryOperations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  api.get(
    '/history',
    described(['getHistory', 'What has changed, and what happened first'], historyView, {
      querystring: historyQuery,
    }),
    (request) => daemon.history(request.query),
  );
  api.get(
    '/fdb/past',
    described(['getPastFdb', 'Which MAC was where'], z.array(fdbView), {
      querystring: pastFdbQuery,
    }),
    (request) => daemon.pastFdb(request.query),
  );
}
