// The page where the settings want it.

import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { HttpSettings } from '../config/fileSchema.js';
import { SwitchError } from '../model/error.js';
import { formatListen, isLoopback, type ListenAddress } from '../model/listen.js';
import { buildPage, type PageOperations } from './server.js';

/** Fewer could be tried one after the other. */
const SHORTEST_TOKEN = 16;

export interface Page {
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
): Promise<Page> {
  if (token_file === undefined && !isLoopback(listen.address)) {
    throw new SwitchError('TOKEN_NEEDED', formatListen(listen));
  }
  const token = token_file === undefined ? undefined : await readToken(token_file);
  const server = await buildPage(daemon, { log, token });
  const port = await listenOn(server, listen);
  return {
    url: `http://${formatListen({ ...listen, port })}/`,
    close: () => server.close(),
  };
}

/** The port that was got. Throws LISTEN_FAILED, with the server closed. */
export async function listenOn(
  server: FastifyInstance,
  { address, port }: ListenAddress,
): Promise<number> {
  try {
    await server.listen({ host: address, port });
    return (server.server.address() as AddressInfo).port;
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
