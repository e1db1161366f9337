// Metrics of the process, under the names that every exporter has for them. Those that the library would
// make by itself begin to count at the first scrape, and call a gauge `_total`.

import { readdirSync } from 'node:fs';
import { type Metric, type ProcessReading, single } from './metric.js';

export function readProcess(): ProcessReading {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    ...{ cpuUser: userCPUTime / 1e6, cpuSystem: systemCPUTime / 1e6 },
    startedAt: performance.timeOrigin / 1e3,
    ...{ resident: rss, heapUsed },
    openFiles: readdirSync('/proc/self/fd').length,
  };
}

export const processMetrics: readonly Metric[] = [
  {
    name: 'process_cpu_user_seconds_total',
    type: 'counter',
    help: 'CPU time of the process and all its threads in user mode.',
    ...single((reading) => reading.process.cpuUser),
  },
  {
    name: 'process_cpu_system_seconds_total',
    type: 'counter',
    help: 'CPU time of the process and all its threads in the kernel, where most of carrying frames is done.',
    ...single((reading) => reading.process.cpuSystem),
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'Unix time at which the process began.',
    ...single((reading) => reading.process.startedAt),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Memory of the process that is in RAM.',
    ...single((reading) => reading.process.resident),
  },
  {
    name: 'process_open_fds',
    type: 'gauge',
    help: 'Open file descriptors.',
    ...single((reading) => reading.process.openFiles),
  },
  {
    name: 'nodejs_heap_size_used_bytes',
    type: 'gauge',
    help: 'Heap of the control side that is in use.',
    ...single((reading) => reading.process.heapUsed),
  },
];
