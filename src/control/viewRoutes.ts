// What can be asked without changing anything: the part of the API that the page has too.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { described } from './described.js';
import { addHistoryRoutes } from './historyApi.js';
import type { ViewOperations } from './operations.js';
import * as ask from './requests.js';
import { addTraceRoutes } from './traceApi.js';
import * as view from './views.js';

/** Adds them relative to the prefix of `server`. */
export function addViewRoutes(server: FastifyInstance, daemon: ViewOperations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  api.get('/status', described(['getStatus', 'State of the daemon'], view.statusView), () =>
    daemon.status(),
  );
  api.get('/counters', described(['getCounters', 'All counters'], view.countersView), () =>
    daemon.counters(),
  );
  api.get('/drops', described(['listDrops', 'Drops by reason'], z.array(view.dropView)), () =>
    daemon.drops(),
  );
  api.get('/networks', described(['listNetworks', 'All networks'], z.array(view.networkView)), () =>
    daemon.networks(),
  );
  api.get(
    '/networks/:network',
    described(['getNetwork', 'One network'], view.networkView, { params: ask.networkParam }),
    (request) => daemon.network(request.params.network),
  );
  api.get('/ports', described(['listPorts', 'All ports'], z.array(view.portView)), () =>
    daemon.ports(),
  );
  addStationRoutes(server, daemon);
  addTraceRoutes(server, daemon);
  addHistoryRoutes(server, daemon);
}

/** Who is where: MACs, addresses, containers, hosts. */
function addStationRoutes(server: FastifyInstance, daemon: ViewOperations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const querystring = ask.networkQuery;
  api.get(
    '/fdb',
    described(['listFdb', 'Which MAC is where'], z.array(view.fdbView), { querystring }),
    (request) => daemon.fdb(request.query.network),
  );
  api.get(
    '/endpoints',
    described(['listEndpoints', 'Containers on all hosts'], z.array(view.endpointView), {
      querystring,
    }),
    (request) => daemon.endpoints(request.query.network),
  );
  api.get(
    '/neighbors',
    described(['listNeighbors', 'Which IP address is where'], z.array(view.neighborView), {
      querystring,
    }),
    (request) => daemon.neighbors(request.query.network),
  );
  api.get(
    '/hosts',
    described(['listHosts', 'Hosts that share the store'], z.array(view.hostView)),
    () => daemon.hosts(),
  );
}
