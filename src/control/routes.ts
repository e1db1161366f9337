// Paths of the API, version 1. Each route only names its operation and the shapes around it.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import { addCaptureRoutes } from './captureApi.js';
import { described } from './described.js';
import type { Operations } from './operations.js';
import * as ask from './requests.js';
import { addViewRoutes } from './viewRoutes.js';
import * as view from './views.js';

/** Adds all routes, relative to the prefix of `server`. */
export function addRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  addViewRoutes(server, daemon);
  api.get('/doctor', described(['getDoctor', 'What this host offers'], view.doctorView), () =>
    daemon.doctor(),
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
}

function addNetworkRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const params = ask.networkParam;
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
  api.delete(
    '/hosts/:host',
    described(['removeHost', 'Forget a host that will not come back'], z.array(view.hostView), {
      params: ask.hostParam,
    }),
    (request) => daemon.removeHost(request.params.host),
  );
}
