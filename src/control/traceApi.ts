// Traces over the API: the way that one frame would take at this moment, decision by decision.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { hostAddress, mapping, name, text, whole } from '../config/leaf.js';
import { described } from './described.js';
import { networkParam } from './requests.js';

/** 64 KB of frame or datagram, as hexadecimal digits. */
const MAX_HEX = 2 * 65_536;
const MAX_FLOW = 1024;

export const traceBody = mapping({
  port: name().optional(),
  peer: hostAddress().optional(),
  flow: text(`a flow as \`vswitchctl trace --help\` shows, of at most ${MAX_FLOW} bytes`, (raw) =>
    raw.trim() !== '' && raw.length <= MAX_FLOW ? raw : undefined,
  ).optional(),
  hex: text('an even number of hexadecimal digits', (raw) => {
    const digits = raw.replace(/[\s:]/g, '');
    return digits.length <= MAX_HEX && /^([0-9a-f]{2})+$/i.test(digits) ? digits : undefined;
  }).optional(),
  /** From `peer`: `hex` is the UDP payload, VXLAN header and frame. */
  datagram: z.boolean({ error: 'true or false' }).default(false),
  tos: whole(0, 255, 'type of service:').default(0),
}).superRefine((body, context) => {
  const ways = [body.port, body.peer].filter((way) => way !== undefined).length;
  const frames = [body.flow, body.hex].filter((frame) => frame !== undefined).length;
  if (ways !== 1) context.addIssue('exactly one of `port` and `peer`');
  if (frames !== 1) context.addIssue('exactly one of `flow` and `hex`');
  if (body.datagram && (body.peer === undefined || body.hex === undefined))
    context.addIssue('`datagram` goes with `peer` and `hex`');
});
export type TraceBody = z.input<typeof traceBody>;
export type TraceAsked = z.output<typeof traceBody>;

const stepView = z.object({
  kind: z.string(),
  sentence: z.string().meta({ description: 'for an engineer who never saw the code' }),
  port: z.string().optional(),
  mac: z.string().optional(),
  ip: z.string().optional(),
  remote: z.string().optional(),
  vni: z.number().optional(),
  vid: z.number().optional(),
  from: z.string().optional(),
  origin: z.string().optional(),
  evicted: z.string().optional(),
  outcome: z.string().optional(),
  reason: z.string().optional().meta({ description: 'drop reason' }),
  note: z.string().optional(),
  mtu: z.number().optional(),
  length: z.number().optional(),
  detail: z.string().optional(),
});

const copyView = z.object({
  port: z.string(),
  kind: z.enum(['tap', 'packet', 'memory', 'tunnel']),
  sentence: z.string(),
  reason: z.string().optional().meta({ description: 'drop reason; absent = it would be sent' }),
  note: z.string().optional(),
  mss: z.number().optional(),
  remote: z.string().optional(),
  udp_port: z.number().optional(),
  source_port: z.number().optional(),
  vni: z.number().optional(),
  path_mtu: z.number().optional(),
  length: z.number(),
});

export const traceView = z.object({
  network: z.string().optional(),
  frame: z.string().meta({ description: 'what was traced, as hexadecimal digits' }),
  summary: z.string().meta({ description: 'what was traced, in one line' }),
  assumed: z.array(z.string()).meta({ description: 'what the flow did not say, in sentences' }),
  steps: z.array(stepView),
  verdict: z.enum(['to', 'flood', 'consumed', 'drop']),
  reason: z.string().optional(),
  copies: z.array(copyView),
  sentence: z.string().meta({ description: 'how it ends' }),
});
export type TraceView = z.output<typeof traceView>;

/** What the daemon does about traces. */
export interface TraceOperations {
  /** Throws NETWORK_UNKNOWN, PORT_UNKNOWN, PORT_WAITING, BAD_FLOW. */
  trace(network: string, request: TraceAsked): TraceView;
}

export function addTraceRoutes(server: FastifyInstance, daemon: TraceOperations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  api.post(
    '/networks/:network/trace',
    described(['trace', 'The way of one frame, without sending it'], traceView, {
      params: networkParam,
      body: traceBody,
    }),
    (request) => daemon.trace(request.params.network, request.body),
  );
}
