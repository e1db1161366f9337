// An HTTP server that speaks JSON as our API does, on whatever it will listen: schemas judge what is
// asked, and every refusal has one shape.

import { type FastifyError, type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { serializerCompiler } from 'fastify-type-provider-zod';
import type { Logger } from 'pino';
import type * as z from 'zod';
import { requestError } from '../config/parse.js';
import { SwitchError } from '../model/error.js';
import { sentences } from '../model/sentences.js';
import { errorBody } from './errorBody.js';

export const API_PREFIX = '/v1';

/** Far above any sane request; below what would hurt to parse. */
const BODY_LIMIT = 1024 * 1024;

/** Without routes. What a handler throws that is no `SwitchError` is logged and answered as INTERNAL. */
export function jsonServer(log: Logger): FastifyInstance {
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
      log.error({ url: request.url, stack: error.stack }, 'request failed');
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
