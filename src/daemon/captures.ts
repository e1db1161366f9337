// Captures: the datapath writes them to a socket beside ours, and whoever asked connects to that.

import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type {
  CaptureOperations,
  CaptureRequest,
  CaptureView,
  CapturingView,
} from '../control/captureApi.js';
import type { Datapath } from '../datapath/datapath.js';
import type { CaptureStatus } from '../datapath/seam.js';
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
  /** Of the captures that run, by ID. */
  const asked = new Map<number, CaptureRequest>();
  const views = (): CaptureView[] => {
    const running = datapath.captures();
    const ids = new Set(running.map(({ id }) => id));
    for (const id of asked.keys()) if (!ids.has(id)) asked.delete(id);
    return running.map((status) => ({ ...status, of: textOf(asked.get(status.id)) }));
  };
  return {
    capture: async (request): Promise<CapturingView> => {
      checkPlace(overlay, request);
      // No other capture ever had this name, whoever still looks for it.
      const path = join(directory, `capture-${randomBytes(8).toString('hex')}.sock`);
      const status = await datapath.capture({ ...wantedBy(request), socket: path });
      asked.set(status.id, request);
      await openTo(datapath, status, { path, socket });
      return { ...status, of: textOf(request), socket: path };
    },
    captures: views,
    endCapture: (id) => {
      if (!datapath.endCapture(id)) {
        throw new SwitchError('NOT_FOUND', `capture ${id}`, {
          why: 'none of that number runs',
          fix: 'see `vswitchctl capture --list`',
        });
      }
      return views();
    },
  };
}

/** Throws NETWORK_UNKNOWN, PORT_UNKNOWN. */
function checkPlace(overlay: Overlay, { network, port }: CaptureRequest): void {
  const networks = network === undefined ? overlay.networks : [overlay.network(network)];
  if (port === undefined || networks.some(({ ports }) => ports.some(({ name }) => name === port))) {
    return;
  }
  throw new SwitchError('PORT_UNKNOWN', port, {
    ...(network !== undefined && { why: `network ${network} has none of that name` }),
  });
}

interface Sockets {
  /** Where the capture is read. */
  readonly path: string;
  /** The control socket. */
  readonly socket: string;
}

/** Who may use the control socket may read its captures, also when somebody opened it to a group. */
async function openTo(datapath: Datapath, { id }: CaptureStatus, { path, socket }: Sockets) {
  try {
    const [like, made] = await Promise.all([lstat(socket), lstat(path)]);
    // In this order, because the mode of a file that is no longer ours takes a capability more.
    if (like.mode !== made.mode) await chmod(path, like.mode & 0o777);
    if (like.uid !== made.uid || like.gid !== made.gid) await chown(path, like.uid, like.gid);
  } catch (error) {
    datapath.endCapture(id);
    const { message } = error as Error;
    throw new SwitchError('SOCKET_UNUSABLE', path, { detail: message });
  }
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

/** `net1, port c1, outer, drops, tcp port 80` */
function textOf(request: CaptureRequest | undefined): string {
  if (request === undefined) return 'unknown';
  const { network, port, peer, side, drops, filter } = request;
  return [
    network ?? 'all networks',
    ...(port === undefined ? [] : [`port ${port}`]),
    ...(peer === undefined ? [] : [`peer ${peer}`]),
    side,
    ...(drops ? ['drops'] : []),
    ...(filter === undefined ? [] : [filter]),
  ].join(', ');
}
