// Every metric. `packaging/metrics.md` is written from this table.

import { dropMetrics } from './drops.js';
import { captureMetrics, daemonMetrics, storeMetrics, workerMetrics } from './host.js';
import type { Metric } from './metric.js';
import { networkMetrics, underlayMetrics } from './networks.js';
import { portMetrics, tunnelMetrics } from './ports.js';
import { processMetrics } from './process.js';

export const METRICS: readonly Metric[] = [
  ...portMetrics,
  ...tunnelMetrics,
  ...networkMetrics,
  ...underlayMetrics,
  ...dropMetrics,
  ...workerMetrics,
  ...captureMetrics,
  ...storeMetrics,
  ...daemonMetrics,
  ...processMetrics,
];
