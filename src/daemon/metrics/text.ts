// Metrics as Prometheus reads them: text format 0.0.4.

import { Counter, Gauge, Registry } from 'prom-client';
import type { Reading } from './metric.js';
import { METRICS } from './table.js';

/** All of our metrics at one moment. */
export function metricsText(reading: Reading): Promise<string> {
  // A registry for each reading: counters of the library can only be added to, and ours count elsewhere.
  const registry = new Registry();
  for (const { name, type, help, labels, read } of METRICS) {
    const labelNames = [...labels];
    const samples = read(reading);
    if (type === 'counter') {
      const counter = new Counter({ name, help, labelNames, registers: [registry] });
      for (const sample of samples) counter.inc(sample.labels, sample.value);
    } else {
      const gauge = new Gauge({ name, help, labelNames, registers: [registry] });
      for (const sample of samples) gauge.set(sample.labels, sample.value);
    }
  }
  return registry.metrics();
}
