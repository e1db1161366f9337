// Captures over the API: what may be asked, what is answered, the routes. The packets themselves come
// by a unix socket of their own, written by the datapath: one reader, who may use the control socket; pcapng from the
// first byte on. Who shuts down his side of it gets what there is, the statistics, and the end.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { flag, hostAddress, mapping, name, oneOf, text, whole } from '../config/leaf.js';
import { described } from './described.js';

/** Longest packet that any capture keeps: as tcpdump and Wireshark have it. */
export const MAX_SNAPLEN = 262_144;
const MAX_PACKETS = 1_000_000_000;
const MAX_FILTER = 4096;

export const captureBody = mapping({
  network: name().optional(),
  port: name().optional(),
  peer: hostAddress().optional(),
  side: oneOf('inner', 'outer', 'both').default('inner'),
  drops: flag().default(false),
  filter: text(`a filter as for tcpdump, of at most ${MAX_FILTER} bytes`, (raw) =>
    raw.trim() !== '' && Buffer.byteLength(raw) <= MAX_FILTER ? raw : undefined,
  ).optional(),
  count: whole(1, MAX_PACKETS, 'packets:').optional(),
  snaplen: whole(1, MAX_SNAPLEN, 'bytes:').default(MAX_SNAPLEN),
});
export type CaptureBody = z.input<typeof captureBody>;
export type CaptureRequest = z.output<typeof captureBody>;

export const captureView = z.object({
  id: z.number(),
  of: z.string().meta({ description: 'what it takes, in words' }),
  state: z.enum(['waiting', 'running']),
  compiler: z
    .enum(['libpcap', 'built-in', 'none'])
    .meta({ description: "who made the filter's program" }),
  packets: z.number(),
  lost: z.number().meta({ description: 'packets for which the reader was too slow' }),
  bytes: z.number(),
});
export type CaptureView = z.output<typeof captureView>;

export const capturingView = captureView.extend({
  socket: z.string().meta({ description: 'unix socket that gives pcapng to one reader' }),
});
export type CapturingView = z.output<typeof capturingView>;

const captureParam = mapping({
  capture: z.coerce.number({ error: 'a whole number' }).int('a whole number').min(0),
});

/** What the daemon does about captures. */
export interface CaptureOperations {
  /** Throws NETWORK_UNKNOWN, PORT_UNKNOWN, BAD_FILTER, TOO_MANY_CAPTURES, SOCKET_UNUSABLE. */
  capture(request: CaptureRequest): Promise<CapturingView>;
  captures(): CaptureView[];
  /** Its reader gets what it has, and the statistics. Throws NOT_FOUND. */
  endCapture(id: number): CaptureView[];
}

export function addCaptureRoutes(server: FastifyInstance, daemon: CaptureOperations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const captures = z.array(captureView);
  api.get('/captures', described(['listCaptures', 'Captures that run'], captures), () =>
    daemon.captures(),
  );
  api.post(
    '/captures',
    described(['addCapture', 'Begin a capture'], capturingView, { body: captureBody }),
    (request) => daemon.capture(request.body),
  );
  api.delete(
    '/captures/:capture',
    described(['endCapture', 'End a capture'], captures, { params: captureParam }),
    (request) => daemon.endCapture(request.params.capture),
  );
}
