// Traces: what was asked becomes a frame, the datapath says its way, and we say it in sentences.

import type { TraceOperations } from '../control/traceApi.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import type { Overlay } from '../overlay/overlay.js';

export interface TraceParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
}

export function tracesOf({ overlay }: TraceParts): TraceOperations {
  return {
    trace: (network) => {
      overlay.network(network);
      throw new SwitchError('BAD_REQUEST', '', { why: 'traces are not built yet' });
    },
  };
}
