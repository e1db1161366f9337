// Edits of networks. They are the store's: it is asked first, and what it did is taken back when this host
// cannot go along.

import type { z } from 'zod';
import type { networkRequestSchema } from '../config/networkSchema.js';
import { SwitchError } from '../model/error.js';
import type { Network } from '../model/network.js';
import { firstFreeVni } from '../model/vni.js';
import type { NetworkRecord } from '../store/records.js';
import {
  poolsOfSubnet,
  type SharedNetwork,
  withoutNetwork,
  withoutParts,
  withPartsOf,
} from '../store/runtimeState.js';
import { withMac } from './addresses.js';
import type { ChangeReport, Overlay } from './overlay.js';
import type { PortEdits } from './portEdits.js';
import type { NetworkWish } from './shared.js';

export type NetworkRequest = z.output<typeof networkRequestSchema>;

export class NetworkEdits {
  readonly #overlay: Overlay;
  readonly #ports: Pick<PortEdits, 'stamped'>;

  constructor(overlay: Overlay, ports: Pick<PortEdits, 'stamped'>) {
    this.#overlay = overlay;
    this.#ports = ports;
  }

  /** Its ports, peers and FDB entries are this host's alone; addresses of its ports are taken as they are. */
  async add(request: NetworkRequest): Promise<Network> {
    const overlay = this.#overlay;
    const { name } = request;
    if (overlay.networks.some((item) => item.name === name)) {
      throw new SwitchError('NETWORK_EXISTS', name);
    }
    const wish = wishOf(request);
    this.#requireFit(wish, request);
    await overlay.sharing.createNetwork(wish);
    try {
      await overlay.edit(async () => {
        const ports = request.ports.map(withMac);
        const parts = withPartsOf(overlay.runtime, { ...request, name, ports });
        const runtime = await this.#ports.stamped(parts, ports);
        await overlay.add(`network ${name} added`, runtime);
      });
    } catch (error) {
      await overlay.sharing.removeNetwork(name).catch(() => {});
      throw error;
    }
    return overlay.network(name);
  }

  /**
   * With the ports that this host has in it; where the file has one of that name, the store's goes. Throws
   * NETWORK_IN_USE while others have some.
   */
  async remove(name: string): Promise<ChangeReport> {
    const overlay = this.#overlay;
    const shared = overlay.shared.get(name) ?? overlay.sharing.state.networks.get(name);
    if (shared === undefined && this.#isUnshared(name)) {
      return overlay.edit(() =>
        overlay.change(`network ${name} removed`, withoutNetwork(overlay.runtime, name)),
      );
    }
    if (shared === undefined) {
      throw overlay.fromFile(name)
        ? new SwitchError('FROM_FILE', `network ${name}`)
        : new SwitchError('NETWORK_UNKNOWN', name);
    }
    this.#requireUnused(name);
    const record = overlay.sharing.state.networks.get(name);
    await overlay.leaving(shared, () => overlay.sharing.removeNetwork(name));
    return overlay.edit(async () => {
      try {
        const { runtime } = overlay;
        const next = overlay.fromFile(name) ? runtime : withoutNetwork(runtime, name);
        return await overlay.change(`network ${name} removed`, next);
      } catch (error) {
        await this.#restore(shared, record);
        throw error;
      }
    });
  }

  /** One of an older state file, beside which the store has something else, so that it is not in effect. */
  #isUnshared(name: string): boolean {
    return this.#overlay.runtime.unshared.some(({ network }) => network.name === name);
  }

  /** What this host would refuse anyway is not asked of the store. */
  #requireFit({ network, pools }: NetworkWish, request: NetworkRequest): void {
    const overlay = this.#overlay;
    const vni = network.vni ?? this.#freeVni(network.name);
    const trial = { network: { ...network, vni }, pools: pools === 'auto' ? [] : pools };
    const parts = withPartsOf(overlay.runtime, request);
    const misfit = overlay.misfitOf(trial, parts);
    if (misfit !== undefined) throw new SwitchError('CONFLICT', misfit.what, { why: misfit.why });
  }

  /** One that the store may well give. Throws NO_FREE_VNI. */
  #freeVni(name: string): number {
    const { networks } = this.#overlay;
    const vni = firstFreeVni(new Set(networks.map((network) => network.vni)));
    if (vni === undefined) throw new SwitchError('NO_FREE_VNI', name);
    return vni;
  }

  #requireUnused(name: string): void {
    const { sharing, runtime, base } = this.#overlay;
    const others = [...(sharing.state.endpoints.get(name)?.values() ?? [])].filter(
      ({ host }) => host !== base.vtep.address,
    );
    const containers = runtime.ports.filter((row) => row.network === name && row.endpoint);
    const [first] = [
      ...others.map((record) => `${record.name ?? record.mac} on host ${record.host}`),
      ...containers.map(({ port, endpoint }) => `${endpoint?.name ?? port.name} on this host`),
    ];
    if (first === undefined) return;
    throw new SwitchError('NETWORK_IN_USE', name, { why: `it has endpoints, such as ${first}` });
  }

  async #restore({ network, pools }: SharedNetwork, record: NetworkRecord | undefined) {
    const { owner = 'people', docker_id } = record ?? {};
    const wish = { network, pools, owner, ...(docker_id && { docker_id }) };
    await this.#overlay.sharing.createNetwork(wish).catch(() => {});
  }
}

function wishOf({ pools, ...request }: NetworkRequest): NetworkWish {
  if (pools !== undefined && request.subnet !== undefined) {
    throw new SwitchError('BAD_REQUEST', '', { why: 'it has both a subnet and pools' });
  }
  const wanted = pools ?? poolsOfSubnet(request.subnet);
  const subnet = wanted === 'auto' ? undefined : wanted[0]?.subnet;
  return { network: { ...withoutParts(request), subnet }, pools: wanted, owner: 'people' };
}
