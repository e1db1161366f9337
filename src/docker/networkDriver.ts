// The network driver: dockerd's networks and endpoints become networks and ports of this host.
//
// For one endpoint dockerd sends CreateEndpoint, Join, Leave, DeleteEndpoint; the sandbox to which it moves
// our TAP comes to be after Join, and after Leave it moves the TAP back. So Leave does nothing, and
// DeleteEndpoint removes the TAP wherever it is. After a failed CreateEndpoint nothing follows, after a
// failed Join only DeleteEndpoint. Whatever is to be deleted need not be known.

import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { SwitchError } from '../model/error.js';
import { parseCidr } from '../model/ip.js';
import { type Mac, parseMac } from '../model/mac.js';
import { Lanes } from './deadline.js';
import type { Engine, Scope } from './engine.js';
import type { DockerEndpoint, DockerHost } from './host.js';
import type { CreateEndpoint, CreateNetwork, Join, OfEndpoint } from './messages.js';
import { parseNetworkOptions } from './networkOptions.js';
import type { Networks } from './networks.js';
import type { EndpointNote, Notebook } from './notebook.js';
import type { Pools } from './pools.js';
import type { Releases } from './releases.js';

export interface NetworkDriverParts {
  readonly host: DockerHost;
  readonly engine: Engine;
  readonly notebook: Notebook;
  readonly networks: Networks;
  readonly pools: Pools;
  readonly releases: Releases;
  readonly log: Logger;
  /** Endpoints or networks of this host have changed. */
  readonly changed: () => void;
}

/** Its methods take checked requests and give what dockerd is answered; they throw `SwitchError`. */
export class NetworkDriver {
  readonly #parts: NetworkDriverParts;
  /** By EndpointID: what dockerd sends after its patience has ended must not overtake. */
  readonly #lanes = new Lanes();

  constructor(parts: NetworkDriverParts) {
    this.#parts = parts;
  }

  async capabilities() {
    return { Scope: await this.#scope(), ConnectivityScope: 'global' };
  }

  async createNetwork(request: CreateNetwork) {
    const { vni } = parseNetworkOptions(request.Options);
    if (vni !== undefined) await this.#requireFree(vni);
    for (const data of [request.IPv4Data, request.IPv6Data]) {
      if (data.length > 1) {
        throw new SwitchError('DRIVER_REFUSES', 'a network with several subnets of one family', {
          fix: 'make a network for each, and connect containers to several networks',
        });
      }
    }
    await this.#parts.pools.attach(request.NetworkID, [...request.IPv4Data, ...request.IPv6Data]);
    this.#parts.networks.expect(request.NetworkID);
    return {};
  }

  async deleteNetwork(id: string) {
    await this.#parts.networks.forget(id);
    this.#parts.changed();
    return {};
  }

  async createEndpoint({ NetworkID, EndpointID, Interface }: CreateEndpoint) {
    const { networks, notebook } = this.#parts;
    const addresses = [Interface?.Address, Interface?.AddressIPv6].filter(
      (address) => address !== undefined,
    );
    const given = Interface?.MacAddress;
    const mac = given === undefined ? macOf(addresses, EndpointID) : parseMac(given);
    if (mac === undefined) throw new SwitchError('BAD_VALUE', `the MAC address ${given}`);
    await this.#lanes.run(EndpointID, async () => {
      const network = await networks.resolve(NetworkID);
      const note: EndpointNote = { networkId: NetworkID, mac, addresses, taken: [] };
      try {
        await this.#take(network.name, NetworkID, note);
      } catch (error) {
        await this.#giveBack(network.name, note);
        throw error;
      }
      notebook.notes.endpoints.set(EndpointID, note);
      await notebook.save();
    });
    return given === undefined ? { Interface: { MacAddress: mac } } : {};
  }

  async join({ NetworkID, EndpointID, SandboxKey }: Join) {
    const { host, networks, notebook, changed } = this.#parts;
    return this.#lanes.run(EndpointID, async () => {
      const note = notebook.notes.endpoints.get(EndpointID);
      if (note === undefined) {
        throw new SwitchError('ENGINE_UNKNOWN', `endpoint ${EndpointID.slice(0, 12)}`, {
          why: 'it has not been created, or it is deleted',
          fix: 'start the container again',
        });
      }
      const network = await networks.resolve(NetworkID);
      const endpoint: DockerEndpoint = {
        id: EndpointID,
        network: network.name,
        mac: note.mac,
        addresses: note.addresses,
        ifname: `vs${EndpointID.slice(0, 10)}`,
        sandbox: SandboxKey,
        aliases: [],
      };
      const { ifname } = await host.attach(endpoint);
      changed();
      return { InterfaceName: { SrcName: ifname, DstPrefix: 'eth' } };
    });
  }

  /** Rejects only when the TAP cannot be removed. */
  async deleteEndpoint({ NetworkID, EndpointID }: OfEndpoint) {
    const { host, notebook, changed } = this.#parts;
    return this.#lanes.run(EndpointID, async () => {
      const network = host.networks().find(({ docker_id }) => docker_id === NetworkID);
      const note = notebook.notes.endpoints.get(EndpointID);
      await host.detach(EndpointID);
      notebook.notes.endpoints.delete(EndpointID);
      await notebook.save();
      if (note !== undefined && network !== undefined) await this.#giveBack(network.name, note);
      changed();
      return {};
    });
  }

  /**
   * The network's name is not told yet, so another host's of that VNI may be the one to join; one that
   * this host's Docker has cannot be. Throws VNI_TAKEN.
   */
  async #requireFree(vni: number): Promise<void> {
    const { host, engine } = this.#parts;
    const holder = host.networks().find((network) => network.vni === vni);
    if (holder?.docker_id === undefined) return;
    // Docker may have removed it while we did not run.
    if ((await engine.network(holder.docker_id)) === undefined) return;
    throw new SwitchError('VNI_TAKEN', `VNI ${vni}`, { why: `network ${holder.name} has it` });
  }

  /**
   * With a cluster store all its dockerds share our networks. dockerd waits for us while we ask it; while it
   * starts its containers its API is not up yet: then what we know of its networks must do.
   */
  async #scope(): Promise<Scope> {
    const { host, engine, notebook, log } = this.#parts;
    try {
      const scope = (await engine.hasClusterStore()) ? 'global' : 'local';
      notebook.notes.scope = scope;
      await notebook.save();
      return scope;
    } catch (error) {
      const isGlobal = host.networks().some(({ docker_scope }) => docker_scope === 'global');
      const scope = notebook.notes.scope ?? (isGlobal ? 'global' : 'local');
      log.warn({ scope, detail: (error as Error).message }, 'docker: scope as it was');
      return scope;
    }
  }

  /**
   * Docker's own IPAM in local scope knows nothing of other hosts, the store does. In global scope it is one
   * for all hosts.
   */
  async #take(network: string, networkId: string, note: EndpointNote): Promise<void> {
    const { host, networks, pools } = this.#parts;
    if (networks.scopeOf(networkId) === 'global' || pools.serve(networkId)) return;
    for (const text of note.addresses) {
      const cidr = parseCidr(text);
      if (cidr === undefined) throw new SwitchError('BAD_VALUE', `the address ${text}`);
      const { family, address } = cidr;
      await host.reserve(network, { family, address, use: 'endpoint' });
      note.taken.push(address);
    }
  }

  async #giveBack(network: string, note: EndpointNote): Promise<void> {
    for (const address of note.taken) {
      await this.#parts.releases.add(network, address);
    }
  }
}

/**
 * `02:42` and the IPv4 address, so that an address keeps its MAC wherever it moves; without one, a hash of
 * the IPv6 address or the EndpointID in its place.
 */
function macOf(addresses: readonly string[], endpointId: string): Mac | undefined {
  const ipv4 = addresses.map(parseCidr).find((cidr) => cidr?.family === 4);
  const seed = addresses[0] ?? endpointId;
  const bytes = ipv4?.address.split('.').map(Number) ?? [
    ...createHash('sha256').update(seed).digest().subarray(0, 4),
  ];
  const pairs = [0x02, 0x42, ...bytes].map((byte) => byte.toString(16).padStart(2, '0'));
  return parseMac(pairs.join(':'));
}
