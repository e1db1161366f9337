// Looks at the counters once a second, so that drops get into the log, and sums over the host lose nothing
// when a network goes.

import type { Logger } from 'pino';
import type { Datapath } from '../datapath/datapath.js';
import type { CounterViews } from './counterViews.js';
import { DropDigest, logDrops } from './dropLog.js';

const INTERVAL_MS = 1000;

/** Looks until the function that it returns is called. Does not keep the process alive. */
export function watchDrops(
  datapath: Pick<Datapath, 'counters'>,
  views: CounterViews,
  log: Logger,
): () => void {
  const digest = new DropDigest();
  const look = () => {
    const counters = datapath.counters();
    views.totals(counters);
    logDrops(digest.take(counters, performance.now()), views.reasons, log);
  };
  const timer = setInterval(look, INTERVAL_MS).unref();
  return () => clearInterval(timer);
}
