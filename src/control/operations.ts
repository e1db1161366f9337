// What the daemon can do, as the API calls it. The daemon implements this; so may a test.

import type { FdbStatic, Peer } from '../model/network.js';
import type { NetworkRequest } from '../overlay/networkEdits.js';
import type { PortRequest } from '../overlay/portEdits.js';
import type { CaptureOperations } from './captureApi.js';
import type { HistoryOperations } from './historyApi.js';
import type { MetricsOperations } from './metricsRoute.js';
import type { TraceOperations } from './traceApi.js';
import type {
  CountersView,
  DoctorView,
  DropView,
  EndpointView,
  FdbView,
  FlushView,
  HostView,
  NeighborView,
  NetworkView,
  PortView,
  PurgeView,
  ReloadView,
  RemovedView,
  StatusView,
} from './views.js';

/** What changes nothing. Every method throws (or rejects with) `SwitchError`; anything else is a bug of ours. */
export interface ViewOperations extends TraceOperations, HistoryOperations, MetricsOperations {
  status(): StatusView;
  networks(): NetworkView[];
  network(name: string): NetworkView;
  ports(): PortView[];
  fdb(network?: string): FdbView[];
  /** Containers on all hosts. */
  endpoints(network?: string): EndpointView[];
  hosts(): HostView[];
  neighbors(network?: string): NeighborView[];
  counters(): CountersView;
  /** Every reason that exists, with what was counted so far on this host. */
  drops(): DropView[];
}

/** Everything, with the same promise. */
export interface Operations extends ViewOperations, CaptureOperations {
  doctor(): Promise<DoctorView>;
  addNetwork(request: NetworkRequest): Promise<NetworkView>;
  removeNetwork(name: string): Promise<RemovedView>;
  addPort(network: string, request: PortRequest): Promise<PortView>;
  removePort(name: string): Promise<RemovedView>;
  addPeer(network: string, peer: Peer): Promise<NetworkView>;
  removePeer(network: string, peer: Peer): Promise<NetworkView>;
  addFdb(network: string, entry: FdbStatic): Promise<FdbView[]>;
  replaceFdb(network: string, entry: FdbStatic): Promise<FdbView[]>;
  removeFdb(network: string, mac: FdbStatic['mac']): Promise<FdbView[]>;
  flushFdb(network?: string, port?: string): FlushView;
  /** Forgets a host that will not come back. */
  removeHost(address: string): Promise<HostView[]>;
  purge(): Promise<PurgeView>;
  reload(): Promise<ReloadView>;
}
