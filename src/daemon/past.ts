// What has happened: the datapath's history, in sentences, and the FDB as it was.

import type { HistoryOperations } from '../control/historyApi.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import type { Overlay } from '../overlay/overlay.js';

export interface PastParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
}

export function pastOf({ datapath }: PastParts): HistoryOperations {
  return {
    history: () => {
      const { completeSince } = datapath.history();
      return { complete_since: new Date(completeSince).toISOString(), lines: [] };
    },
    pastFdb: () => {
      throw new SwitchError('BAD_REQUEST', '', { why: 'the past is not built yet' });
    },
  };
}
