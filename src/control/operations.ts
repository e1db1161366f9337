// What the daemon can do, as the API calls it. The daemon implements this; so may a test.

import type { FdbStatic, Peer } from '../model/network.js';
import type { NetworkRequest } from '../overlay/networkEdits.js';
import type { PortRequest } from '../overlay/portEdits.js';
import type { CaptureOperations } from './captureApi.js';
import type { HistoryOperations } from './historyApi.js';
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

/** Every method throws (or rejects with) `SwitchError`; anything else is a bug of ours. */
export interface Operations extends CaptureOperations, TraceOperations, HistoryOperations {
  status(): StatusView;
  doctor(): DoctorView;
  networks(): NetworkView[];
  network(name: string): NetworkView;
  addNetwork(request: NetworkRequest): Promise<NetworkView>;
  removeNetwork(name: string): Promise<RemovedView>;
  ports(): PortView[];
  addPort(network: string, request: PortRequest): Promise<PortView>;
  removePort(name: string): Promise<RemovedView>;
  addPeer(network: string, peer: Peer): Promise<NetworkView>;
  removePeer(network: string, peer: Peer): Promise<NetworkView>;
  fdb(network?: string): FdbView[];
  addFdb(network: string, entry: FdbStatic): Promise<FdbView[]>;
  replaceFdb(network: string, entry: FdbStatic): Promise<FdbView[]>;
  removeFdb(network: string, mac: FdbStatic['mac']): Promise<FdbView[]>;
  flushFdb(network?: string, port?: string): FlushView;
  /** Containers on all hosts. */
  endpoints(network?: string): EndpointView[];
  hosts(): HostView[];
  /** Forgets a host that will not come back. */
  removeHost(address: string): Promise<HostView[]>;
  neighbors(network?: string): NeighborView[];
  counters(): CountersView;
  /** Every reason that exists, with what was counted so far on this host. */
  drops(): DropView[];
  purge(): Promise<PurgeView>;
  reload(): Promise<ReloadView>;
}
