// The daemon's metrics: everything is read once for each scrape.

import type { CaptureStatus, Counters } from '../../datapath/seam.js';
import { isZeroMac } from '../../model/mac.js';
import { VERSION } from '../../model/version.js';
import { controlFdb } from '../../overlay/neighbors.js';
import type { Overlay } from '../../overlay/overlay.js';
import type { CounterViews } from '../counterViews.js';
import { viewPorts } from '../networkViews.js';
import { viewHosts } from '../storeViews.js';
import { LagMeter } from './lag.js';
import type { NetworkReading, Reading } from './metric.js';
import { readProcess } from './process.js';
import { metricsText } from './text.js';

export interface MetricsParts {
  readonly datapath: { counters(): Counters; captures(): CaptureStatus[] };
  readonly overlay: Overlay;
  readonly counterViews: CounterViews;
}

/** Costs nothing until it is asked for the first time; from then on a timer measures the event loop. */
export class Metrics {
  readonly #parts: MetricsParts;
  #lag: LagMeter | undefined;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
  }

  /** In Prometheus' text format. */
  text(): Promise<string> {
    return metricsText(this.#read());
  }

  stop(): void {
    this.#lag?.stop();
  }

  #read(): Reading {
    const { datapath, overlay, counterViews } = this.#parts;
    this.#lag ??= new LagMeter();
    const counters = datapath.counters();
    return {
      version: VERSION,
      counters: counterViews.counters(counters, Date.now()),
      drops: counterViews.totals(counters),
      networks: overlay.networks.map((network) => readNetwork(network, overlay)),
      ports: overlay.networks.flatMap((network) => viewPorts(network, overlay, counters)),
      captures: datapath.captures(),
      store: overlay.sharing.health,
      hosts: viewHosts(overlay),
      process: readProcess(),
      lag: this.#lag.take(),
    };
  }
}

function readNetwork(network: Overlay['networks'][number], overlay: Overlay): NetworkReading {
  const { name } = network;
  const around = overlay.around.get(name);
  const { address } = overlay.base.vtep;
  return {
    name,
    staticMacs: network.fdb.filter(({ mac }) => !isZeroMac(mac)).length,
    controlMacs: around === undefined ? 0 : controlFdb(network, around, address).length,
    endpoints: overlay.sharing.state.endpoints.get(name)?.size ?? 0,
  };
}
