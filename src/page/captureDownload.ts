// A capture as a download: it begins with the request and ends by itself, so that nobody forgets one.

import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { mapping, oneOf, whole } from '../config/leaf.js';
import { type CaptureOperations, captureBody } from '../control/captureApi.js';
import { connectToCapture } from '../control/captureSocket.js';

const MAX_SECONDS = 60;
/** For what is on its way when the time is over, milliseconds; then a client that does not read is left. */
const GRACE_MS = 10_000;

/** In a query everything is text, and a form sends fields that were left empty. */
const number = <S extends z.ZodType>(schema: S) =>
  z.preprocess((raw) => (typeof raw === 'string' ? Number(raw) : raw), schema);

const { shape } = captureBody;
const captureQuery = z.preprocess(
  (raw) => Object.fromEntries(Object.entries(raw as object).filter(([, value]) => value !== '')),
  mapping({
    ...shape,
    drops: oneOf('true', 'false')
      .default('false')
      .transform((word) => word === 'true'),
    count: number(shape.count),
    snaplen: number(shape.snaplen),
    seconds: number(whole(1, MAX_SECONDS, 'seconds:').default(10)),
  }),
);

/** Adds `/capture.pcapng`: asked with what a capture is asked with, and `seconds`. */
export function addCaptureDownload(
  server: FastifyInstance,
  daemon: Pick<CaptureOperations, 'capture'>,
): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  // A HEAD would begin a capture that nobody reads.
  const options = { schema: { querystring: captureQuery }, exposeHeadRoute: false };
  api.get('/capture.pcapng', options, async (request, reply) => {
    const { seconds, ...wanted } = request.query;
    const stream = await connectToCapture((await daemon.capture(wanted)).socket);
    endAfter(stream, seconds * 1000);
    const of = wanted.network ?? wanted.port ?? 'vswitchd';
    const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
    // Fastify lets go of the stream when the client goes.
    return reply
      .type('application/x-pcapng')
      .header('content-disposition', `attachment; filename="${of}-${at}.pcapng"`)
      .send(stream);
  });
}

/** Ends our side then, so that the statistics come; and all of it if they do not get through. */
function endAfter(stream: Socket, ms: number): void {
  const timers = [
    setTimeout(() => stream.end(), ms),
    setTimeout(() => stream.destroy(), ms + GRACE_MS),
  ];
  stream.once('close', () => {
    for (const timer of timers) clearTimeout(timer);
  });
}
