// Edits of ports whose TAP somebody else moves into a container and configures.

import type { Logger } from 'pino';
import { portSchema } from '../config/networkSchema.js';
import type { Datapath } from '../datapath/datapath.js';
import { SwitchError } from '../model/error.js';
import type { Mac } from '../model/mac.js';
import { ifnameOf, type Port } from '../model/network.js';
import {
  type ContainerEndpoint,
  type PortRow,
  type RuntimeState,
  withoutPort,
  withPort,
} from '../store/runtimeState.js';
import type { Overlay } from './overlay.js';
import { defaultMtu } from './plan.js';

/** A container to attach; its port is called as the TAP is while that is in our namespace. */
export interface Container extends ContainerEndpoint {
  readonly network: string;
  readonly mac: Mac;
  readonly ifname: string;
  readonly sandbox: string;
}

export interface ContainerEditsParts {
  readonly overlay: Overlay;
  readonly datapath: Pick<Datapath, 'makeTap' | 'removeRoamingTap'>;
  readonly log: Logger;
}

export class ContainerEdits {
  readonly #overlay: Overlay;
  readonly #datapath: ContainerEditsParts['datapath'];
  readonly #log: Logger;

  constructor({ overlay, datapath, log }: ContainerEditsParts) {
    this.#overlay = overlay;
    this.#datapath = datapath;
    this.#log = log;
  }

  /** From now on ports whose TAP is destroyed are forgotten: nothing can bring it back. */
  watch(): void {
    const look = () => void this.#forgetLost();
    this.#overlay.onLook(look);
    look();
  }

  /** Those attached, also by an earlier run. */
  get containers(): readonly Container[] {
    return this.#overlay.runtime.ports.flatMap(({ network, port, endpoint }) => {
      const { mac, sandbox } = port;
      if (endpoint === undefined || mac === undefined || sandbox === undefined) return [];
      return [{ ...endpoint, network, mac, sandbox, ifname: ifnameOf(port) }];
    });
  }

  /** The TAP is in our namespace after it, and works. One that is attached stays as it is. */
  attach({ network, mac, ifname, sandbox, ...endpoint }: Container): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      if (this.#rowOf(endpoint.id) !== undefined) return;
      const mtu = defaultMtu(overlay.network(network), overlay.base);
      if (!overlay.shared.has(network)) throw new SwitchError('NETWORK_UNKNOWN', network);
      const port: Port = { ...portSchema.parse({ name: ifname, ifname, mac }), sandbox };
      await this.#datapath.makeTap({ port: ifname, ifname, mac, mtu });
      try {
        await overlay.add(
          `container ${nameOf(endpoint)} attached to network ${network}`,
          withPort(overlay.runtime, { network, port, endpoint }),
        );
      } catch (error) {
        await this.#datapath
          .removeRoamingTap(sandbox, ifname, overlay.base.owner)
          .catch(() => undefined);
        throw error;
      }
    });
  }

  /** Removes port and TAP, wherever the TAP is. Unknown ones are no error. */
  detach(id: string): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      const row = this.#rowOf(id);
      if (row === undefined) return;
      const what = `container ${nameOf(row.endpoint ?? { id })} detached from network ${row.network}`;
      await overlay.change(what, withoutPort(overlay.runtime, row.port.name));
    });
  }

  /** Nothing happens when it is not attached. */
  rename(id: string, name: string, aliases: readonly string[]): Promise<void> {
    const overlay = this.#overlay;
    return overlay.edit(async () => {
      const row = this.#rowOf(id);
      if (row?.endpoint === undefined) return;
      const next = { ...row, endpoint: { ...row.endpoint, name, aliases } };
      await overlay.change(`container ${name} has its names`, replaced(overlay.runtime, next));
    });
  }

  /** Never throws. */
  async #forgetLost(): Promise<void> {
    const overlay = this.#overlay;
    const isLost = ({ port }: PortRow) => {
      const condition = port.sandbox === undefined ? undefined : overlay.portCondition(port.name);
      return condition?.state === 'waiting' && condition.code === 'TAP_GONE';
    };
    if (!overlay.runtime.ports.some(isLost)) return;
    await overlay.edit(async () => {
      for (const { port, network } of overlay.runtime.ports.filter(isLost)) {
        try {
          const what = `port ${port.name} removed from network ${network}: its TAP is gone`;
          await overlay.change(what, withoutPort(overlay.runtime, port.name));
        } catch (error) {
          this.#log.error({ port: port.name, error: (error as Error).message }, 'port kept');
        }
      }
    });
  }

  #rowOf(id: string): PortRow | undefined {
    return this.#overlay.runtime.ports.find((row) => row.endpoint?.id === id);
  }
}

function nameOf({ id, name }: Pick<ContainerEndpoint, 'id' | 'name'>): string {
  return name ?? id.slice(0, 12);
}

function replaced(state: RuntimeState, next: PortRow): RuntimeState {
  const ports = state.ports.map((row) => (row.port.name === next.port.name ? next : row));
  return { ...state, ports };
}
