// What we ask dockerd, over the API socket that the docker command uses. It is away whenever it
// restarts; and its answers about one network or one container may wait for what it is doing with them.

import { Pool as HttpPool } from 'undici';
import * as z from 'zod';
import { SwitchError } from '../model/error.js';

/** Milliseconds. A driver's call, in which we ask, must end within 5 s. */
const PATIENCE_MS = 2_000;
/** Questions at once: one that waits in dockerd must not hold up the others. */
const CONNECTIONS = 8;

export type Scope = 'local' | 'global';

/** A network as dockerd describes it; known to it only after its driver's CreateNetwork has returned. */
export interface EngineNetwork {
  readonly id: string;
  readonly name: string;
  readonly scope: Scope;
  readonly options: Readonly<Record<string, unknown>>;
  readonly ipamDriver: string;
  readonly pools: readonly {
    readonly subnet: string;
    readonly gateway?: string | undefined;
    readonly range?: string | undefined;
  }[];
}

/** A running container. */
export interface EngineContainer {
  readonly id: string;
  readonly name: string;
  /** EndpointIDs, in all its networks. */
  readonly endpoints: readonly string[];
}

export interface EngineContainerDetails {
  /** Of its `/etc/hosts`, on the host; absent for one without. */
  readonly hostsPath?: string | undefined;
  /** By EndpointID. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
}

/** Every method throws ENGINE_AWAY when dockerd does not answer within 2 s, or not as it should. */
export class Engine {
  readonly #http: HttpPool;

  /** `socket` is the path of dockerd's API socket. */
  constructor(socket: string) {
    this.#http = new HttpPool('http://docker', { socketPath: socket, connections: CONNECTIONS });
  }

  /** Whether this dockerd shares its networks with others through a cluster store (up to 20.10). */
  async hasClusterStore(): Promise<boolean> {
    const info = await this.#ask('/info', infoSchema);
    return (info?.ClusterStore ?? '') !== '';
  }

  /** `undefined`: dockerd has none with that ID; with a cluster store that is away, perhaps only now. */
  network(id: string): Promise<EngineNetwork | undefined> {
    return this.#ask(`/networks/${id}`, networkSchema);
  }

  async networks(): Promise<readonly EngineNetwork[]> {
    return (await this.#ask('/networks', z.array(networkSchema))) ?? [];
  }

  /** Those that run, without waiting for any of them. */
  async containers(): Promise<readonly EngineContainer[]> {
    return (await this.#ask('/containers/json', z.array(containerSchema))) ?? [];
  }

  /** `undefined`: it is gone. Waits while dockerd starts or stops it. */
  container(id: string): Promise<EngineContainerDetails | undefined> {
    return this.#ask(`/containers/${id}/json`, detailsSchema);
  }

  close(): Promise<void> {
    return this.#http.destroy();
  }

  async #ask<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const { statusCode, body } = await this.#http.request({ method: 'GET', path, signal });
      const answer: unknown = await body.json();
      if (statusCode === 404) return undefined;
      if (statusCode !== 200) throw new Error(`status ${statusCode}: ${JSON.stringify(answer)}`);
      return schema.parse(answer);
    } catch (error) {
      const detail = (error as Error).message.slice(0, 200);
      throw new SwitchError('ENGINE_AWAY', path, { detail });
    }
  }
}

const infoSchema = z.object({ ClusterStore: z.string().optional() });

const networkSchema = z
  .object({
    Id: z.string(),
    Name: z.string(),
    Scope: z.string(),
    Options: z.record(z.string(), z.unknown()).nullish(),
    IPAM: z.object({
      Driver: z.string(),
      Config: z
        .array(
          z.object({
            Subnet: z.string().optional(),
            Gateway: z.string().optional(),
            IPRange: z.string().optional(),
          }),
        )
        .nullish(),
    }),
  })
  .transform(
    ({ Id, Name, Scope, Options, IPAM }): EngineNetwork => ({
      id: Id,
      name: Name,
      scope: Scope === 'local' ? 'local' : 'global',
      options: Options ?? {},
      ipamDriver: IPAM.Driver,
      pools: (IPAM.Config ?? []).flatMap(({ Subnet, Gateway, IPRange }) =>
        Subnet === undefined
          ? []
          : [
              {
                subnet: Subnet,
                gateway: Gateway?.split('/', 1)[0] || undefined,
                range: IPRange || undefined,
              },
            ],
      ),
    }),
  );

const attachedTo = z
  .object({
    Networks: z
      .record(
        z.string(),
        z.object({ EndpointID: z.string(), Aliases: z.array(z.string()).nullish() }).nullable(),
      )
      .nullish(),
  })
  .nullish()
  .transform((settings) =>
    Object.values(settings?.Networks ?? {}).filter((network) => network !== null),
  );

const containerSchema = z
  .object({ Id: z.string(), Names: z.array(z.string()).nullish(), NetworkSettings: attachedTo })
  .transform(
    ({ Id, Names, NetworkSettings }): EngineContainer => ({
      id: Id,
      // Names of links have a second slash.
      name: Names?.find((name) => /^\/[^/]+$/.test(name))?.slice(1) ?? Id.slice(0, 12),
      endpoints: NetworkSettings.map(({ EndpointID }) => EndpointID),
    }),
  );

const detailsSchema = z
  .object({ HostsPath: z.string().optional(), NetworkSettings: attachedTo })
  .transform(
    ({ HostsPath, NetworkSettings }): EngineContainerDetails => ({
      hostsPath: HostsPath || undefined,
      aliases: new Map(
        NetworkSettings.map(({ EndpointID, Aliases }) => [EndpointID, Aliases ?? []]),
      ),
    }),
  );
