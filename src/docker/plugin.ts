// Docker's network driver and IPAM driver as one plugin: the parts, wired.

import { basename } from 'node:path';
import type { Logger } from 'pino';
import { listen, makeSocketDirectory } from '../socket/unixSocket.js';
import { callsOf } from './calls.js';
import { Census } from './census.js';
import { Engine } from './engine.js';
import type { DockerHost, Memory } from './host.js';
import { HostsFiles } from './hostsFiles.js';
import { IpamDriver } from './ipamDriver.js';
import { NetworkDriver } from './networkDriver.js';
import { Networks } from './networks.js';
import { Notebook } from './notebook.js';
import { Pools } from './pools.js';
import { Releases } from './releases.js';
import { buildServer } from './server.js';

export interface DockerPluginOptions {
  readonly host: DockerHost;
  readonly memory: Memory;
  readonly settings: {
    /** Path of the socket; the drivers' name is its file's, without `.sock`. */
    readonly plugin: string;
    /** Path of dockerd's API socket. */
    readonly engine: string;
  };
  readonly log: Logger;
}

export interface DockerPlugin {
  /** Containers and their ports stay. Any number of times. */
  stop(): Promise<void>;
}

/** Throws SOCKET_UNUSABLE when the plugin's socket is somebody else's. dockerd need not run. */
export async function startDockerPlugin({
  host,
  memory,
  settings,
  log,
}: DockerPluginOptions): Promise<DockerPlugin> {
  await makeSocketDirectory(settings.plugin);
  const driver = basename(settings.plugin, '.sock');
  const engine = new Engine(settings.engine);
  const notebook = await Notebook.open(memory, log);
  const releases = new Releases(host, notebook, log);
  const networks = new Networks({ host, engine, notebook, driver, log });
  const pools = new Pools({ host, engine, notebook, networks, driver, now: Date.now });
  const networkDriver = new NetworkDriver({
    host,
    engine,
    notebook,
    networks,
    pools,
    releases,
    log,
    changed: () => census.soon(),
  });
  const census = new Census({
    host,
    engine,
    notebook,
    releases,
    networks,
    hostsFiles: new HostsFiles({ host, engine, notebook, networks, log }),
    discard: (NetworkID, EndpointID) => networkDriver.deleteEndpoint({ NetworkID, EndpointID }),
    now: () => performance.now(),
    log,
  });
  const ipamDriver = new IpamDriver({ host, pools, releases });
  const server = buildServer(callsOf(networkDriver, ipamDriver), { log });
  const removeSocket = await listen(server, settings.plugin);
  census.start();
  log.info({ socket: settings.plugin, driver }, 'docker: ready');
  let stopping: Promise<void> | undefined;
  const stop = async () => {
    await server.close();
    await removeSocket();
    networks.stop();
    await census.stop();
    await engine.close();
    await notebook.save();
  };
  return {
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
