// The two protocols as a table: path of the call, shape of its request, who answers it.

import type * as z from 'zod';
import type { IpamDriver } from './ipamDriver.js';
import * as message from './messages.js';
import type { NetworkDriver } from './networkDriver.js';

export interface Call {
  readonly request: z.ZodType;
  /** Gives the answer. Throws `SwitchError`. */
  readonly answer: (request: never) => unknown;
  /**
   * Something is given up: dockerd has forgotten it already, so a failure is ours to mend, and told in
   * our log alone.
   */
  readonly isFarewell?: true;
  /** Undoes what an answer did that came too late to be heard. */
  readonly undo?: (request: never) => (answer: never) => unknown;
}

/** By the path behind the slash. */
export function callsOf(network: NetworkDriver, ipam: IpamDriver): ReadonlyMap<string, Call> {
  const call = <S extends z.ZodType, A>(
    request: S,
    answer: (request: z.output<S>) => Promise<A> | A,
    rest: {
      isFarewell?: true;
      undo?: (request: z.output<S>) => (answer: Awaited<A>) => unknown;
    } = {},
  ): Call => ({ request, answer, ...rest });
  const farewell = { isFarewell: true } as const;
  const noop = call(message.nothing, () => ({}));
  return new Map<string, Call>([
    [
      'Plugin.Activate',
      call(message.nothing, () => ({ Implements: ['NetworkDriver', 'IpamDriver'] })),
    ],

    ['NetworkDriver.GetCapabilities', call(message.nothing, () => network.capabilities())],
    ['NetworkDriver.CreateNetwork', call(message.createNetwork, (it) => network.createNetwork(it))],
    [
      'NetworkDriver.DeleteNetwork',
      call(message.ofNetwork, (it) => network.deleteNetwork(it.NetworkID), farewell),
    ],
    [
      'NetworkDriver.CreateEndpoint',
      call(message.createEndpoint, (it) => network.createEndpoint(it), {
        undo: (it) => () => network.deleteEndpoint(it),
      }),
    ],
    [
      'NetworkDriver.DeleteEndpoint',
      call(message.ofEndpoint, (it) => network.deleteEndpoint(it), farewell),
    ],
    [
      'NetworkDriver.Join',
      call(message.join, (it) => network.join(it), {
        undo: (it) => () => network.deleteEndpoint(it),
      }),
    ],
    ['NetworkDriver.Leave', noop],
    ['NetworkDriver.EndpointOperInfo', call(message.nothing, () => ({ Value: {} }))],
    // The hosts know each other from the store.
    ['NetworkDriver.DiscoverNew', noop],
    ['NetworkDriver.DiscoverDelete', noop],
    // Ports are published on docker_gwbridge, because our Join names no gateway.
    ['NetworkDriver.ProgramExternalConnectivity', noop],
    ['NetworkDriver.RevokeExternalConnectivity', noop],

    ['IpamDriver.GetCapabilities', call(message.nothing, () => ipam.capabilities())],
    ['IpamDriver.GetDefaultAddressSpaces', call(message.nothing, () => ipam.addressSpaces())],
    [
      'IpamDriver.RequestPool',
      call(message.requestPool, (it) => ipam.requestPool(it), {
        undo: () => (answer) => ipam.releasePool(answer.PoolID),
      }),
    ],
    ['IpamDriver.ReleasePool', call(message.ofPool, (it) => ipam.releasePool(it.PoolID), farewell)],
    [
      'IpamDriver.RequestAddress',
      call(message.requestAddress, (it) => ipam.requestAddress(it), {
        undo: (it) => (answer) =>
          ipam.releaseAddress({ PoolID: it.PoolID, Address: answer.Address }),
      }),
    ],
    [
      'IpamDriver.ReleaseAddress',
      call(message.releaseAddress, (it) => ipam.releaseAddress(it), farewell),
    ],
  ]);
}
