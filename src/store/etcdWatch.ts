// A watch as etcd's stream carries it.

import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Rpc } from './etcdApi.js';

/** How often a member that says nothing is asked for progress; silent twice in a row, it is gone. */
const HEARTBEAT_MS = 2_000;

/**
 * Sends `request` and hands every answer on until `end` aborts. Throws what `onResponse` throws, and what
 * ends the stream.
 */
export async function follow(
  stream: ClientDuplexStream<Rpc.IWatchRequest, Rpc.IWatchResponse>,
  request: Rpc.IWatchCreateRequest,
  onResponse: (response: Rpc.IWatchResponse) => void,
  end: AbortSignal,
): Promise<void> {
  let asked = 0;
  let beat: NodeJS.Timeout | undefined;
  let stop: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      if (end.aborted) return resolve();
      stop = () => resolve();
      end.addEventListener('abort', stop);
      stream.on('data', (response: Rpc.IWatchResponse) => {
        asked = 0;
        try {
          onResponse(response);
        } catch (error) {
          reject(error);
        }
      });
      stream.on('error', reject);
      stream.on('end', () => reject(new Error('the member ended the watch')));
      beat = setInterval(() => {
        if (asked === 2) return reject(new Error('the member has fallen silent'));
        asked += 1;
        stream.write({ progress_request: {} });
      }, HEARTBEAT_MS);
      stream.write({ create_request: request });
    });
  } finally {
    clearInterval(beat);
    if (stop !== undefined) end.removeEventListener('abort', stop);
    stream.removeAllListeners('data');
    stream.cancel();
  }
}
