// Paths of the API, version 1. Each route only names its operation and the shapes around it.

import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import * as z from 'zod';
import type { Operations } from './operations.js';
import * as ask from './requests.js';
import * as view from './views.js';

/** What each route may answer besides its result. */
const errors = { '4xx': view.errorView, '5xx': view.errorView };

/** Adds all routes, relative to the prefix of `server`. */
export function addRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const answer = <S extends z.ZodType>(schema: S) => ({ 200: schema, ...errors });

  api.get('/status', { schema: { response: answer(view.statusView) } }, () => daemon.status());
  api.get('/doctor', { schema: { response: answer(view.doctorView) } }, () => daemon.doctor());
  api.get('/counters', { schema: { response: answer(view.countersView) } }, () =>
    daemon.counters(),
  );
  api.get('/drops', { schema: { response: answer(z.array(view.dropView)) } }, () => daemon.drops());
  api.post('/purge', { schema: { response: answer(view.purgeView) } }, () => daemon.purge());
  api.post('/reload', { schema: { response: answer(view.reloadView) } }, () => daemon.reload());
  addNetworkRoutes(server, daemon);
  addPortRoutes(server, daemon);
  addFdbRoutes(server, daemon);
}

function addNetworkRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const one = { 200: view.networkView, ...errors };
  api.get(
    '/networks',
    { schema: { response: { 200: z.array(view.networkView), ...errors } } },
    () => daemon.networks(),
  );
  api.get(
    '/networks/:network',
    { schema: { params: ask.networkParam, response: one } },
    (request) => daemon.network(request.params.network),
  );
  api.post('/networks', { schema: { body: ask.addNetworkBody, response: one } }, (request) =>
    daemon.addNetwork(request.body),
  );
  api.delete(
    '/networks/:network',
    { schema: { params: ask.networkParam, response: { 200: view.removedView, ...errors } } },
    (request) => daemon.removeNetwork(request.params.network),
  );
  api.post(
    '/networks/:network/peers',
    { schema: { params: ask.networkParam, body: ask.addPeerBody, response: one } },
    (request) => daemon.addPeer(request.params.network, request.body),
  );
  api.delete(
    '/networks/:network/peers/:peer',
    { schema: { params: ask.peerParam, response: one } },
    (request) => daemon.removePeer(request.params.network, request.params.peer),
  );
}

function addPortRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  api.get('/ports', { schema: { response: { 200: z.array(view.portView), ...errors } } }, () =>
    daemon.ports(),
  );
  api.post(
    '/networks/:network/ports',
    {
      schema: {
        params: ask.networkParam,
        body: ask.addPortBody,
        response: { 200: view.portView, ...errors },
      },
    },
    (request) => daemon.addPort(request.params.network, request.body),
  );
  api.delete(
    '/ports/:port',
    { schema: { params: ask.portParam, response: { 200: view.removedView, ...errors } } },
    (request) => daemon.removePort(request.params.port),
  );
}

function addFdbRoutes(server: FastifyInstance, daemon: Operations): void {
  const api = server.withTypeProvider<ZodTypeProvider>();
  const entries = { 200: z.array(view.fdbView), ...errors };
  api.get('/fdb', { schema: { querystring: ask.networkQuery, response: entries } }, (request) =>
    daemon.fdb(request.query.network),
  );
  api.post(
    '/networks/:network/fdb',
    { schema: { params: ask.networkParam, body: ask.addFdbBody, response: entries } },
    (request) => daemon.addFdb(request.params.network, request.body),
  );
  api.put(
    '/networks/:network/fdb/:mac',
    { schema: { params: ask.fdbParam, body: ask.replaceFdbBody, response: entries } },
    (request) =>
      daemon.replaceFdb(request.params.network, { ...request.body, mac: request.params.mac }),
  );
  api.delete(
    '/networks/:network/fdb/:mac',
    { schema: { params: ask.fdbParam, response: entries } },
    (request) => daemon.removeFdb(request.params.network, request.params.mac),
  );
  api.post(
    '/fdb/flush',
    { schema: { body: ask.flushBody, response: { 200: view.flushView, ...errors } } },
    (request) => daemon.flushFdb(request.body.network, request.body.port),
  );
}
