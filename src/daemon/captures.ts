// Captures: the datapath writes them to a socket beside ours, and whoever asked connects to that.

import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { CaptureOperations, CaptureRequest } from '../control/captureApi.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import type { Overlay } from '../overlay/overlay.js';

export interface CaptureParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
  /** The control socket, in a directory that is ours alone. */
  readonly socket: string;
}

export function capturesOf({ datapath, overlay, socket }: CaptureParts): CaptureOperations {
  const directory = dirname(socket);
  return {
    capture: async (request) => {
      if (request.network !== undefined) overlay.network(request.network);
      // Unguessable, so that nobody can be there first.
      const path = join(directory, `capture-${randomBytes(8).toString('hex')}.sock`);
      return { ...datapath.capture({ ...wantedBy(request), socket: path }), socket: path };
    },
    captures: () => datapath.captures(),
    endCapture: (id) => {
      if (!datapath.endCapture(id)) throw new SwitchError('NOT_FOUND', `capture ${id}`);
      return datapath.captures();
    },
  };
}

function wantedBy({ network, port, peer, filter, count, ...asked }: CaptureRequest) {
  return {
    ...{ side: asked.side, dropsOnly: asked.drops, snaplen: asked.snaplen },
    ...(network !== undefined && { network }),
    ...(port !== undefined && { port }),
    ...(peer !== undefined && { peer }),
    ...(filter !== undefined && { filter }),
    ...(count !== undefined && { maxPackets: count }),
  };
}
