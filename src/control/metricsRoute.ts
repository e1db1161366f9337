// Metrics over HTTP, where Prometheus looks for them unless told otherwise.

import type { FastifyInstance } from 'fastify';

/** Text format 0.0.4 of Prometheus. */
const TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface MetricsOperations {
  /** Everything that is measured, as Prometheus reads it. */
  metrics(): Promise<string>;
}

/** Adds `/metrics`. */
export function addMetricsRoute(server: FastifyInstance, daemon: MetricsOperations): void {
  server.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply
      .type(TYPE)
      .serializer(String)
      .send(await daemon.metrics()),
  );
}
