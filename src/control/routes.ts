// Paths of the API, version 1. Each route only names its operation and the shapes around it.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { addCaptureRoutes } from './captureApi.js';
import { described } from './described.js';
import { addHistoryRoutes } from './historyApi.js';
import type { Operations } from './operations.js';
import * as ask from './requests.js';
import { addTraceRoutes } from './traceApi.js';
import * as view from './views.js';

/** Adds all routes, relative to the prefix of `server`. */
export function addRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  api.get('/status', described(['getStatus', 'State of the daemon'], view.statusView), () =>
    daemon.status(),
  );
  api.get('/doctor', described(['getDoctor', 'What this host offers'], view.doctorView), () =>
    daemon.doctor(),
  );
  api.get('/counters', described(['getCounters', 'All counters'], view.countersView), () =>
    daemon.counters(),
  );
  api.get('/drops', described(['listDrops', 'Drops by reason'], z.array(view.dropView)), () =>
    daemon.drops(),
  );
  api.post('/purge', described(['purge', 'Remove all that is ours'], view.purgeView), () =>
    daemon.purge(),
  );
  api.post('/reload', described(['reload', 'Read the file again'], view.reloadView), () =>
    daemon.reload(),
  );
  addNetworkRoutes(server, daemon);
  addPortRoutes(server, daemon);
  addFdbRoutes(server, daemon);
  addStoreRoutes(server, daemon);
  addCaptureRoutes(server, daemon);
  addTraceRoutes(server, daemon);
  addHistoryRoutes(server, daemon);
}

function addNetworkRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const params = ask.networkParam;
  api.get('/networks', described(['listNetworks', 'All networks'], z.array(view.networkView)), () =>
    daemon.networks(),
  );
  api.get(
    '/networks/:network',
    described(['getNetwork', 'One network'], view.networkView, { params }),
    (request) => daemon.network(request.params.network),
  );
  api.post(
    '/networks',
    described(['addNetwork', 'Make a network'], view.networkView, { body: ask.addNetworkBody }),
    (request) => daemon.addNetwork(request.body),
  );
  api.delete(
    '/networks/:network',
    described(['removeNetwork', 'Remove a network, its ports and TAPs'], view.removedView, {
      params,
    }),
    (request) => daemon.removeNetwork(request.params.network),
  );
  api.post(
    '/networks/:network/peers',
    described(['addPeer', 'Add a remote VTEP'], view.networkView, {
      params,
      body: ask.addPeerBody,
    }),
    (request) => daemon.addPeer(request.params.network, request.body),
  );
  api.delete(
    '/networks/:network/peers/:peer',
    described(['removePeer', 'Remove a remote VTEP'], view.networkView, { params: ask.peerParam }),
    (request) => daemon.removePeer(request.params.network, request.params.peer),
  );
}

function addPortRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  api.get('/ports', described(['listPorts', 'All ports'], z.array(view.portView)), () =>
    daemon.ports(),
  );
  api.post(
    '/networks/:network/ports',
    described(['addPort', 'Attach a namespace with a TAP'], view.portView, {
      params: ask.networkParam,
      body: ask.addPortBody,
    }),
    (request) => daemon.addPort(request.params.network, request.body),
  );
  api.delete(
    '/ports/:port',
    described(['removePort', 'Remove a port and its TAP'], view.removedView, {
      params: ask.portParam,
    }),
    (request) => daemon.removePort(request.params.port),
  );
}

function addFdbRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const entries = z.array(view.fdbView);
  api.get(
    '/fdb',
    described(['listFdb', 'Which MAC is where'], entries, { querystring: ask.networkQuery }),
    (request) => daemon.fdb(request.query.network),
  );
  api.post(
    '/networks/:network/fdb',
    described(['addFdb', 'Add a static entry'], entries, {
      params: ask.networkParam,
      body: ask.addFdbBody,
    }),
    (request) => daemon.addFdb(request.params.network, request.body),
  );
  api.put(
    '/networks/:network/fdb/:mac',
    described(['replaceFdb', 'Add a static entry, or replace it'], entries, {
      params: ask.fdbParam,
      body: ask.replaceFdbBody,
    }),
    (request) =>
      daemon.replaceFdb(request.params.network, { ...request.body, mac: request.params.mac }),
  );
  api.delete(
    '/networks/:network/fdb/:mac',
    described(['removeFdb', 'Remove the static entries of a MAC'], entries, {
      params: ask.fdbParam,
    }),
    (request) => daemon.removeFdb(request.params.network, request.params.mac),
  );
  api.post(
    '/fdb/flush',
    described(['flushFdb', 'Forget learned entries'], view.flushView, { body: ask.flushBody }),
    (request) => daemon.flushFdb(request.body.network, request.body.port),
  );
}

function addStoreRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const querystring = ask.networkQuery;
  const hosts = z.array(view.hostView);
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
  api.get('/hosts', described(['listHosts', 'Hosts that share the store'], hosts), () =>
    daemon.hosts(),
  );
  api.delete(
    '/hosts/:host',
    described(['removeHost', 'Forget a host that will not come back'], hosts, {
      params: ask.hostParam,
    }),
    (request) => daemon.removeHost(request.params.host),
  );
}
