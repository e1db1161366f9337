// The control API: HTTP and JSON on a unix socket, described by the OpenAPI document that it serves.

import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { createJsonSchemaTransform } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import { API_PREFIX, jsonServer } from './jsonServer.js';
import { addMetricsRoute } from './metricsRoute.js';
import type { Operations } from './operations.js';
import { tellPeerText } from './requests.js';
import { addRoutes } from './routes.js';

export interface ApiOptions {
  readonly version: string;
  readonly log: Logger;
}

/** Builds the API without listening: `inject` works at once. */
export async function buildApi(daemon: Operations, options: ApiOptions): Promise<FastifyInstance> {
  const server = jsonServer(options.log);
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'vswitchd control API', version: options.version },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig: { override: tellPeerText } }),
  });
  await server.register(async (api) => addRoutes(api, daemon), { prefix: API_PREFIX });
  addMetricsRoute(server, daemon);
  server.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json').serializer(JSON.stringify).send(server.swagger()),
  );
  await server.ready();
  return server;
}
