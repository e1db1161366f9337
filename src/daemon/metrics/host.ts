// Metrics of the daemon itself: its workers, its store, its captures, its event loop.

import type { CountersView } from '../../control/views.js';
import type { Metric } from './metric.js';
import { single } from './metric.js';

type Worker = CountersView['workers'][number];

function ofWorkers(value: (worker: Worker) => number): Pick<Metric, 'labels' | 'read'> {
  return {
    labels: ['worker'],
    read: ({ counters }) =>
      counters.workers.map((worker, at) => ({
        labels: { worker: String(at) },
        value: value(worker),
      })),
  };
}

export const workerMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_worker_busy_seconds_total',
    type: 'counter',
    help: 'Time in which the worker neither slept nor waited awake; its rate is its load.',
    ...ofWorkers((worker) => worker.busy_us / 1e6),
  },
  {
    name: 'vswitchd_worker_turns_total',
    type: 'counter',
    help: 'Turns of the worker: read, decide, send.',
    ...ofWorkers((worker) => worker.turns),
  },
  {
    name: 'vswitchd_worker_sleeps_total',
    type: 'counter',
    help: 'Times that the worker went to sleep.',
    ...ofWorkers((worker) => worker.sleeps),
  },
  {
    name: 'vswitchd_worker_receive_frames_total',
    type: 'counter',
    help: 'Frames that entered the switch by the worker.',
    ...ofWorkers((worker) => worker.rx_frames),
  },
  {
    name: 'vswitchd_worker_transmit_frames_total',
    type: 'counter',
    help: 'Frames that left the switch by the worker.',
    ...ofWorkers((worker) => worker.tx_frames),
  },
  {
    name: 'vswitchd_worker_drops_total',
    type: 'counter',
    help: 'Frames that the worker dropped.',
    labels: ['worker', 'reason'],
    read: ({ counters }) =>
      counters.workers.flatMap(({ drops }, at) =>
        drops.map(({ reason, frames }) => ({
          labels: { worker: String(at), reason },
          value: frames,
        })),
      ),
  },
];

export const captureMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_captures',
    type: 'gauge',
    help: 'Captures that wait for their reader, and that run.',
    labels: ['state'],
    read: ({ captures }) =>
      (['waiting', 'running'] as const).map((state) => ({
        labels: { state },
        value: captures.filter((capture) => capture.state === state).length,
      })),
  },
  {
    name: 'vswitchd_capture_packets_total',
    type: 'counter',
    help: 'Packets that the capture has taken.',
    labels: ['capture'],
    read: ({ captures }) =>
      captures.map(({ id, packets }) => ({ labels: { capture: String(id) }, value: packets })),
  },
  {
    name: 'vswitchd_capture_lost_packets_total',
    type: 'counter',
    help: 'Packets that the capture has lost because its reader is too slow.',
    labels: ['capture'],
    read: ({ captures }) =>
      captures.map(({ id, lost }) => ({ labels: { capture: String(id) }, value: lost })),
  },
];

export const storeMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_store_up',
    type: 'gauge',
    help: 'Whether the store is followed: 1, or 0 while it is out of reach.',
    ...single(({ store }) => Number(store.state === 'connected')),
  },
  {
    name: 'vswitchd_store_lag_seconds',
    type: 'gauge',
    help: 'How old what this host knows may be: time since the store last showed that nothing is missing; some seconds are normal, always 0 with `store: local`.',
    labels: [],
    read: ({ store: { age } }) => (age === undefined ? [] : [{ labels: {}, value: age / 1e3 }]),
  },
  {
    name: 'vswitchd_store_conflicts',
    type: 'gauge',
    help: 'Endpoints of this host that the others could not be told.',
    ...single(({ store }) => store.conflicts.length),
  },
  {
    name: 'vswitchd_store_garbage_keys',
    type: 'gauge',
    help: 'Keys under our prefix that are no records of ours, at most 100.',
    ...single(({ store }) => store.garbage.length),
  },
  {
    name: 'vswitchd_hosts',
    type: 'gauge',
    help: 'Hosts that the store knows, this one included: live, or lost when their lease has ended.',
    labels: ['state'],
    read: ({ hosts }) =>
      (['live', 'lost'] as const).map((state) => ({
        labels: { state },
        value: hosts.filter((host) => host.state === state).length,
      })),
  },
  {
    name: 'vswitchd_endpoints',
    type: 'gauge',
    help: 'Containers on all hosts, by the networks that this host runs.',
    labels: ['network'],
    read: ({ networks }) =>
      networks.map(({ name, endpoints }) => ({ labels: { network: name }, value: endpoints })),
  },
];

export const daemonMetrics: readonly Metric[] = [
  {
    name: 'vswitchd_build_info',
    type: 'gauge',
    help: 'Always 1; which version runs.',
    labels: ['version'],
    read: ({ version }) => [{ labels: { version }, value: 1 }],
  },
  {
    name: 'vswitchd_start_time_seconds',
    type: 'gauge',
    help: 'Unix time from which on everything is counted.',
    ...single(({ counters }) => Date.parse(counters.started_at) / 1e3),
  },
  {
    name: 'vswitchd_balanced',
    type: 'gauge',
    help: 'Whether every sum holds: in = out + consumed + drops. 0 is a bug of ours.',
    ...single(({ counters }) => Number(counters.balanced)),
  },
  {
    name: 'vswitchd_eventloop_lag_seconds',
    type: 'gauge',
    help: 'How late timers of the control side fired since the last scrape, frames do not wait for it: min, mean, p99, max.',
    labels: ['statistic'],
    read: ({ lag }) =>
      lag === undefined
        ? []
        : Object.entries(lag).map(([statistic, value]) => ({ labels: { statistic }, value })),
  },
];
