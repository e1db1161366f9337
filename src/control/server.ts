// The control API: HTTP and JSON on a unix socket, described by the OpenAPI document that it serves.

import swagger from '@fastify/swagger';
import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { createJsonSchemaTransform, serializerCompiler } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import type * as z from 'zod';
import { requestError } from '../config/parse.js';
import { SwitchError } from '../model/error.js';
import { sentences } from '../model/sentences.js';
import { errorBody } from './errorBody.js';
import type { Operations } from './operations.js';
import { tellPeerText } from './requests.js';
import { addRoutes } from './routes.js';

export const API_PREFIX = '/v1';

/** Far above any sane request; below what would hurt to parse. */
const BODY_LIMIT = 1024 * 1024;

export interface ApiOptions {
  readonly version: string;
  readonly log: Logger;
}

/** Builds the API without listening: `inject` works at once. */
export async function buildApi(daemon: Operations, options: ApiOptions): Promise<FastifyInstance> {
  const server = fastify({
    bodyLimit: BODY_LIMIT,
    forceCloseConnections: true,
    // Before routing: a path that is no UTF-8, for instance.
    frameworkErrors: (error, _request, reply) => void answer(reply, refusalOf(error)),
  });
  server.setValidatorCompiler(({ schema }) => (data) => {
    const { data: value, error } = (schema as z.ZodType).safeParse(data);
    return error === undefined ? { value } : { error: requestError(error.issues, data) };
  });
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const refusal = refusalOf(error);
    if (refusal.code === 'INTERNAL') {
      options.log.error({ url: request.url, stack: error.stack }, 'request failed');
    }
    return answer(reply, refusal);
  });
  server.setNotFoundHandler((request, reply) =>
    answer(reply, new SwitchError('NOT_FOUND', `${request.method} ${request.url}`)),
  );
  // An empty body with a JSON type is what many clients send with POST and DELETE.
  server.removeContentTypeParser('application/json');
  server.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(body as string));
    } catch (error) {
      done(
        new SwitchError('BAD_REQUEST', '', {
          why: `its body is no JSON: ${(error as Error).message}`,
        }),
      );
    }
  });
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'vswitchd control API', version: options.version },
    },
    transform: createJsonSchemaTransform({ zodToJsonConfig: { override: tellPeerText } }),
  });
  await server.register(async (api) => addRoutes(api, daemon), { prefix: API_PREFIX });
  server.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json').serializer(JSON.stringify).send(server.swagger()),
  );
  await server.ready();
  return server;
}

function answer(reply: FastifyReply, error: SwitchError): FastifyReply {
  return reply
    .code(sentences[error.code].status)
    .type('application/json')
    .serializer(JSON.stringify)
    .send(errorBody(error));
}

/** What the caller did wrong, or INTERNAL when it was us. */
function refusalOf(error: Error): SwitchError {
  if (error instanceof SwitchError) return error;
  const { statusCode } = error as { statusCode?: number };
  if (statusCode === 413) return new SwitchError('TOO_LARGE', '');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new SwitchError('BAD_REQUEST', '', { why: error.message });
  }
  return new SwitchError('INTERNAL', 'the request', { detail: error.message });
}
