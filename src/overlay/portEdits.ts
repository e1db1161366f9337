// Edits of ports: those that people attach.

import { SwitchError } from '../model/error.js';
import { netnsName, netnsPath, processIn } from '../model/netns.js';
import type { Port } from '../model/network.js';
import { type PortRow, type RuntimeState, withoutPort, withPort } from '../store/runtimeState.js';
import { addressed, release, withMac } from './addresses.js';
import { addressesOf, withoutPrefix } from './endpoints.js';
import type { Namespaces } from './namespaces.js';
import type { ChangeReport, Overlay } from './overlay.js';

/**
 * A port to add. One that is handed over may have the name of a port whose TAP is gone, and takes its place. Without name it is
 * called after its namespace, a packet port after its interface.
 */
export type PortRequest = Omit<Port, 'name' | 'sandbox'> & { readonly name?: string | undefined };

export class PortEdits {
  readonly #overlay: Overlay;
  readonly #namespaces: Namespaces;

  constructor(overlay: Overlay, namespaces: Namespaces) {
    this.#overlay = overlay;
    this.#namespaces = namespaces;
  }

  /** In a network of the store with pools it gets addresses from there. */
  async add(network: string, request: PortRequest): Promise<Port> {
    const overlay = this.#overlay;
    overlay.network(network);
    const wish = await this.#inThePlaceOf(this.#abandoned(network, request), request);
    this.#requireFree(network, wish);
    const shared = overlay.shared.get(network);
    const { port: wanted, reserved } =
      shared === undefined
        ? { port: wish.handover === undefined ? wish : withMac(wish), reserved: [] }
        : await addressed(overlay.sharing, shared, wish);
    try {
      return await overlay.edit(async () => {
        overlay.network(network);
        this.#requireFree(network, wanted);
        const port: Port = { ...wanted, name: wanted.name ?? this.#portName(network, wanted) };
        await overlay.add(
          `port ${port.name} added to network ${network}`,
          await this.stamped(withPort(overlay.runtime, { network, port }), [port]),
        );
        return port;
      });
    } catch (error) {
      await release(overlay.sharing, network, reserved);
      throw error;
    }
  }

  async remove(name: string): Promise<ChangeReport> {
    const overlay = this.#overlay;
    const [row, report] = await overlay.edit(async () => {
      const found = overlay.runtime.ports.find((item) => item.port.name === name);
      if (found === undefined) {
        throw overlay.portFromFile(name)
          ? new SwitchError('FROM_FILE', `port ${name}`)
          : new SwitchError('PORT_UNKNOWN', name);
      }
      const next = withoutPort(overlay.runtime, name);
      return [found, await overlay.change(`port ${name} removed`, next)] as const;
    });
    if (overlay.shared.has(row.network)) {
      await release(overlay.sharing, row.network, addressesOf(row).map(withoutPrefix));
    }
    return report;
  }

  /** The datapath lost the port's device. One that was handed over never comes back, so its port goes too. */
  async lost(name: string): Promise<void> {
    const row = this.#overlay.runtime.ports.find((item) => item.port.name === name);
    if (row?.port.handover === undefined) this.#overlay.portGone(name);
    else await this.remove(name);
  }

  /** Remembers which processes the new ports mean, as long as the caller can mean no other. */
  async stamped(next: RuntimeState, fresh: readonly Port[]): Promise<RuntimeState> {
    const names = new Set(fresh.map((port) => port.name));
    const stamp = async (row: PortRow): Promise<PortRow> => {
      if (!names.has(row.port.name) || processIn(row.port.netns) === undefined) return row;
      const sight = await this.#namespaces(netnsPath(row.port.netns ?? ''));
      return { ...row, process: sight?.process };
    };
    return { ...next, ports: await Promise.all(next.ports.map(stamp)) };
  }

  /** The port that the request attaches again: an earlier run of ours had its TAP, and nothing brings that back. */
  #abandoned(network: string, { name, handover }: PortRequest): Port | undefined {
    const { runtime } = this.#overlay;
    const row = runtime.ports.find((item) => item.network === network && item.port.name === name);
    const condition = row && this.#overlay.portCondition(row.port.name);
    const isGone = condition?.state === 'waiting' && condition.code === 'HANDOVER_GONE';
    return handover !== undefined && isGone ? row?.port : undefined;
  }

  /** The request as it is without that port: what it does not say is as it was there. */
  async #inThePlaceOf(before: Port | undefined, request: PortRequest): Promise<PortRequest> {
    if (before === undefined) return request;
    await this.remove(before.name);
    const { addresses, mac = before.mac, mtu = before.mtu } = request;
    return { ...request, mac, mtu, addresses: addresses.length > 0 ? addresses : before.addresses };
  }

  /** Throws PORT_EXISTS, ADDRESS_TAKEN. */
  #requireFree(network: string, { name, addresses }: PortRequest): void {
    if (name !== undefined && this.#portNames().has(name))
      throw new SwitchError('PORT_EXISTS', name);
    if (!this.#overlay.shared.has(network)) return;
    const here = this.#overlay.runtime.ports.filter((row) => row.network === network);
    for (const address of addresses.map(withoutPrefix)) {
      const owner = here.find((row) => addressesOf(row).map(withoutPrefix).includes(address));
      if (owner === undefined) continue;
      throw new SwitchError('ADDRESS_TAKEN', address, { why: `port ${owner.port.name} has it` });
    }
  }

  #portNames(): Set<string> {
    const ports = [
      ...this.#overlay.networks.flatMap((item) => item.ports),
      ...this.#overlay.runtime.ports.map((row) => row.port),
    ];
    return new Set(ports.map((port) => port.name));
  }

  /** The namespace's own name (or the packet port's interface) if there is one and it is free, else the network's with a number. */
  #portName(network: string, request: PortRequest): string {
    const taken = this.#portNames();
    const place = placeName(request);
    const speaks = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(place) && !/^\d+$/.test(place);
    if (speaks && !taken.has(place)) return place;
    for (let number = 1; ; number++) {
      const name = `${network.slice(0, 50)}-${number}`;
      if (!taken.has(name)) return name;
    }
  }
}

function placeName({ kind, ifname, netns }: PortRequest): string {
  if (kind === 'packet') return ifname ?? '';
  return netns === undefined ? '' : netnsName(netnsPath(netns));
}
