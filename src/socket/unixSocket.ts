// A unix socket as a file: whose it is, how it comes to be, and that only ours is ever removed.

import { chmod, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { SwitchError } from '../model/error.js';

/** Makes the socket's directory, for its owner alone, unless it is there. Throws SOCKET_UNUSABLE. */
export async function makeSocketDirectory(socket: string): Promise<void> {
  try {
    await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(socket, error);
  }
}

/**
 * Throws SOCKET_UNUSABLE unless the name is free, or a socket's that nobody answers on: what a
 * daemon that was killed leaves.
 */
export async function checkSocketFree(socket: string): Promise<void> {
  try {
    const there = await lstat(socket).catch(unlessMissing);
    if (there === undefined) return;
    if (!there.isSocket()) {
      throw new SwitchError('SOCKET_UNUSABLE', socket, {
        why: 'something that is no socket has this name, and is left alone',
        fix: 'choose another path, or move it away',
      });
    }
    if (await isAnswered(socket)) {
      throw new SwitchError('SOCKET_UNUSABLE', socket, {
        why: 'another program answers on it',
        fix: 'stop that program, or choose another path',
      });
    }
  } catch (error) {
    throw unusable(socket, error);
  }
}

/**
 * Listens on the socket, for its owner alone, in the place of a dead one. Resolves to what removes
 * the socket's name, if that is still ours. Throws SOCKET_UNUSABLE, as `checkSocketFree` does.
 */
export async function listen(
  server: FastifyInstance,
  socket: string,
): Promise<() => Promise<void>> {
  await checkSocketFree(socket);
  // Node removes what it has bound by name, whoever made it meanwhile; so we bind another name. The
  // way through the open directory keeps it within sockaddr_un however long the socket's path is.
  const ours = `.vswitchd-${process.pid}`;
  // Between bind(2) and chmod(2) nobody else shall get in.
  const mask = process.umask(0o177);
  try {
    const directory = await open(dirname(socket));
    try {
      const path = `/proc/self/fd/${directory.fd}/${ours}`;
      await server.listen({ path });
      await chmod(path, 0o600);
      await rename(path, socket);
    } finally {
      await directory.close();
    }
    const { dev, ino } = await lstat(socket);
    return async () => {
      const there = await lstat(socket).catch(unlessMissing);
      if (there?.dev === dev && there.ino === ino) await rm(socket, { force: true });
    };
  } catch (error) {
    throw unusable(socket, error);
  } finally {
    process.umask(mask);
  }
}

/** A socket that refuses is dead; one that is full or closed to us is somebody's. */
function isAnswered(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code !== 'ECONNREFUSED' && code !== 'ENOENT'),
    );
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
  });
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

function unusable(socket: string, error: unknown): SwitchError {
  if (error instanceof SwitchError) return error;
  return new SwitchError('SOCKET_UNUSABLE', socket, { detail: (error as Error).message });
}
