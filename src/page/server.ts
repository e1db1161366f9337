// The page: files for browsers, and what they ask for. Nothing here changes anything.
//
//   browser --HTTP on TCP--> static files, the viewing part of the API, captures to download

import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { CaptureOperations } from '../control/captureApi.js';
import { API_PREFIX, jsonServer } from '../control/jsonServer.js';
import { addMetricsRoute } from '../control/metricsRoute.js';
import type { ViewOperations } from '../control/operations.js';
import { addViewRoutes } from '../control/viewRoutes.js';
import { guardAccess } from './access.js';
import { addCaptureDownload } from './captureDownload.js';
import { addLibraries } from './libraries.js';

/** What the page asks of the daemon. */
export type PageOperations = ViewOperations & Pick<CaptureOperations, 'capture'>;

export interface PageOptions {
  readonly log: Logger;
  /** What every request must bear. */
  readonly token?: string | undefined;
}

/** Builds the server without listening: `inject` works at once. */
export async function buildPage(
  daemon: PageOperations,
  { log, token }: PageOptions,
): Promise<FastifyInstance> {
  const server = jsonServer(log);
  guardAccess(server, token);
  await server.register(fastifyStatic, { root: STATIC, cacheControl: false });
  await addLibraries(server);
  addMetricsRoute(server, daemon);
  await server.register(
    async (api) => {
      addViewRoutes(api, daemon);
      addCaptureDownload(api, daemon);
    },
    { prefix: API_PREFIX },
  );
  await server.ready();
  return server;
}

const STATIC = fileURLToPath(new URL('./static/', import.meta.url));
