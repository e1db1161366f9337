// Where a capture is read: the unix socket that the daemon names when one begins.

import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { SwitchError } from '../model/error.js';

/**
 * The one reader of a capture. Ending our side of the stream ends the capture: what it has and the statistics
 * still come. Throws SOCKET_DENIED, NO_DAEMON.
 */
export async function connectToCapture(path: string): Promise<Socket> {
  // Through its open directory, because the path may be longer than sockaddr_un.
  const directory = await open(dirname(path)).catch((error) => {
    throw unreachable(path, error);
  });
  try {
    const stream = connect(`/proc/self/fd/${directory.fd}/${basename(path)}`);
    await once(stream, 'connect').catch((error) => {
      throw unreachable(path, error);
    });
    return stream;
  } finally {
    await directory.close();
  }
}

function unreachable(path: string, error: NodeJS.ErrnoException): SwitchError {
  const code = error.code === 'EACCES' || error.code === 'EPERM' ? 'SOCKET_DENIED' : 'NO_DAEMON';
  return new SwitchError(code, path, { detail: error.message });
}
