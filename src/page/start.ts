// The page, and metrics, where the settings want them.

import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { HttpSettings, MetricsSettings } from '../config/fileSchema.js';
import { jsonServer } from '../control/jsonServer.js';
import { addMetricsRoute, type MetricsOperations } from '../control/metricsRoute.js';
import { SwitchError } from '../model/error.js';
import { formatListen, isLoopback, type ListenAddress } from '../model/listen.js';
import { guardAccess } from './access.js';
import { buildPage, type PageOperations } from './server.js';

/** Fewer could be tried one after the other. */
const SHORTEST_TOKEN = 16;

/** What listens. */
export interface Served {
  /** With the port that was got. */
  readonly url: string;
  /** Ends what is under way, too. */
  close(): Promise<void>;
}

/** Serves the page. Throws TOKEN_NEEDED, TOKEN_UNUSABLE, CONFIG_UNREADABLE, LISTEN_FAILED. */
export async function startPage(
  daemon: PageOperations,
  { listen, token_file }: HttpSettings,
  log: Logger,
): Promise<Served> {
  if (token_file === undefined && !isLoopback(listen.address)) {
    throw new SwitchError('TOKEN_NEEDED', formatListen(listen));
  }
  const token = token_file === undefined ? undefined : await readToken(token_file);
  return serve(await buildPage(daemon, { log, token }), listen, '/');
}

/** Serves metrics alone. Throws LISTEN_FAILED. */
export async function startMetrics(
  daemon: MetricsOperations,
  { listen }: MetricsSettings,
  log: Logger,
): Promise<Served> {
  const server = jsonServer(log);
  guardAccess(server, undefined);
  addMetricsRoute(server, daemon);
  return serve(server, listen, '/metrics');
}

/** Throws LISTEN_FAILED, with the server closed. */
async function serve(
  server: FastifyInstance,
  { address, port }: ListenAddress,
  path: string,
): Promise<Served> {
  try {
    await server.listen({ host: address, port });
    const { port: got } = server.server.address() as AddressInfo;
    const url = `http://${formatListen({ address, port: got })}${path}`;
    return { url, close: () => server.close() };
  } catch (error) {
    await server.close();
    const detail = (error as Error).message;
    throw new SwitchError('LISTEN_FAILED', formatListen({ address, port }), { detail });
  }
}

/** Without the newline with which editors end a file. */
async function readToken(path: string): Promise<string> {
  let token: string;
  try {
    token = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new SwitchError('CONFIG_UNREADABLE', path, { detail: (error as Error).message });
  }
  if (token.length < SHORTEST_TOKEN) throw new SwitchError('TOKEN_UNUSABLE', path);
  return token;
}
