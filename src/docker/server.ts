// Docker's plugin protocol: HTTP and JSON on a unix socket. dockerd sends an empty Host, any content
// type or none, empty bodies, and several requests at once; it waits without end for an answer.

import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { problemsOf } from '../config/problem.js';
import { problemText, SwitchError } from '../model/error.js';
import type { Call } from './calls.js';
import { within } from './deadline.js';

/** Milliseconds; below the 5 s after which people think that dockerd hangs. */
const DEADLINE_MS = 4_500;

const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';

const BODY_LIMIT = 1024 * 1024;

export interface ServerOptions {
  readonly log: Logger;
  /** Of each call, in ms. */
  readonly deadline?: number | undefined;
}

/** Builds the server without listening: `inject` works at once. */
export function buildServer(
  calls: ReadonlyMap<string, Call>,
  { log, deadline = DEADLINE_MS }: ServerOptions,
): FastifyInstance {
  const server = fastify({ bodyLimit: BODY_LIMIT, forceCloseConnections: true });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  );
  server.post<{ Params: { call: string } }>('/:call', async (request, reply) => {
    const name = request.params.call;
    reply.type(CONTENT_TYPE).serializer(JSON.stringify);
    const call = calls.get(name);
    if (call === undefined) return reply.code(404).send({ Err: `${name} is not offered` });
    try {
      return reply.send(await answerTo(call, name, { body: request.body, deadline, log }));
    } catch (error) {
      return reply.code(500).send({ Err: oneLine((error as Error).message) });
    }
  });
  return server;
}

interface Asked {
  readonly body: unknown;
  readonly deadline: number;
  readonly log: Logger;
}

async function answerTo(call: Call, name: string, { body, deadline, log }: Asked) {
  const start = performance.now();
  try {
    const request = parse(call, body, name);
    const undo = call.undo?.(request as never);
    const late = (answer: unknown) => {
      log.warn({ call: name }, 'docker: undone, for it came too late');
      Promise.resolve(undo?.(answer as never)).catch((error: Error) =>
        log.warn({ call: name, detail: error.message }, 'docker: cannot be undone yet'),
      );
    };
    // An async function, so that what is thrown at once is a rejection too.
    const work = (async () => call.answer(request as never))();
    const answer = await within({ ms: deadline, what: name, ...(undo && { late }) }, work);
    log.debug({ call: name, ms: Math.round(performance.now() - start) }, 'docker');
    return answer;
  } catch (error) {
    const isOurs = !(error instanceof SwitchError);
    const facts = { call: name, detail: (error as Error).message };
    if (isOurs) log.error({ ...facts, stack: (error as Error).stack }, 'docker: failed');
    else log.warn(facts, call.isFarewell ? 'docker: not given up yet' : 'docker: refused');
    if (call.isFarewell) return {};
    throw isOurs ? new SwitchError('INTERNAL', name, { detail: (error as Error).message }) : error;
  }
}

function parse(call: Call, body: unknown, name: string): unknown {
  let raw: unknown;
  try {
    raw = typeof body !== 'string' || body === '' ? null : JSON.parse(body);
  } catch (error) {
    throw new SwitchError('BAD_REQUEST', '', { why: `it is no JSON: ${(error as Error).message}` });
  }
  const { data, error } = call.request.safeParse(raw);
  if (error === undefined) return data;
  const problems = problemsOf(error.issues, raw).map(problemText).join('; ');
  throw new SwitchError('BAD_REQUEST', '', {
    why: `it does not fit ${name}`,
    detail: problems,
    fix: 'see the log of dockerd',
  });
}

/** The docker command prints it behind the name of the call. */
function oneLine(message: string): string {
  return message.replaceAll(/\n\s*/g, '; ');
}
