// The schema of the configuration file around its networks.

import * as z from 'zod';
import type { DatapathSettings, SourcePorts, VtepSettings } from '../model/network.js';
import { DEFAULT_SOCKET } from '../model/socket.js';
import { VXLAN_PORT } from '../model/vtep.js';
import {
  filePath,
  flag,
  hostAddress,
  ifname,
  list,
  listenAddress,
  loopbackListen,
  mapping,
  oneOf,
  text,
  tos,
  udpPort,
  whole,
} from './leaf.js';
import { networkSchema } from './networkSchema.js';
import { storeSchema } from './storeSchema.js';

// RFC 7348 section 5 asks for the dynamic range; below 1024 are other people's services.
const sourcePortsSchema = mapping({
  min: whole(1024, 65535, 'a UDP port').default(49152),
  max: whole(1024, 65535, 'a UDP port').default(65535),
  pool: whole(1, 256, 'sockets:').default(16),
}) satisfies z.ZodType<SourcePorts>;

export const vtepSchema = mapping({
  address: hostAddress(),
  port: udpPort().default(VXLAN_PORT),
  ttl: z
    .union([z.int().min(1).max(255), z.literal('inherit')], {
      error: 'inherit, or a whole number 1-255',
    })
    .default(64),
  tos: z
    .union([tos(), z.literal('inherit')], {
      error: 'inherit, or a multiple of 4 from 0 to 252 (DSCP times 4)',
    })
    .default(0),
  ecn: oneOf('normal', 'compat', 'linux').default('normal'),
  udp_checksum: flag().default(true),
  source_ports: sourcePortsSchema.prefault({}),
  symmetric_hash: flag().default(false),
  allow_outer_fragmentation: flag().default(false),
  interface: ifname().optional(),
}) satisfies z.ZodType<VtepSettings>;

const feature = () => oneOf('auto', 'off').default('auto');

export const datapathSchema = mapping({
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(64)], { error: 'auto, or a whole number 1-64' })
    .default('auto'),
  underlay: oneOf('auto', 'udp', 'ring', 'tunnel-gso').default('auto'),
  features: mapping({
    udp_gso: feature(),
    udp_gro: feature(),
    vnet_hdr: feature(),
    multi_queue: feature(),
    recvmmsg: feature(),
    sendmmsg: feature(),
    spin: feature(),
  }).prefault({}),
}) satisfies z.ZodType<DatapathSettings>;

/** A socket path fits sockaddr_un with its terminating zero: 107 bytes (unix(7)). */
export const socketSchema = text('an absolute path of at most 107 bytes', (raw) =>
  raw.startsWith('/') && Buffer.byteLength(raw) <= 107 ? raw : undefined,
);

const controlSchema = mapping({ socket: socketSchema.default(DEFAULT_SOCKET) });

/** Docker's drivers: the socket on which dockerd finds them, and dockerd's own. */
const dockerSchema = z.preprocess(
  (raw) => raw ?? {},
  mapping({
    plugin: socketSchema.default('/run/docker/plugins/vswitch.sock'),
    engine: socketSchema.default('/var/run/docker.sock'),
  }),
);

export type DockerSettings = z.output<typeof dockerSchema>;

/** Those of `docker: {}`. */
export const DOCKER_DEFAULTS: DockerSettings = dockerSchema.parse({});

/** The page for browsers. Elsewhere than on a loopback address it needs the token. */
export const httpSchema = mapping({ listen: listenAddress(), token_file: filePath().optional() });

export type HttpSettings = z.output<typeof httpSchema>;

/** Metrics for Prometheus. */
export const metricsSchema = mapping({ listen: loopbackListen() });

export type MetricsSettings = z.output<typeof metricsSchema>;

/** Everything but the networks, which are parsed one by one so that each has its say. */
export const fileShape = {
  vtep: vtepSchema,
  store: storeSchema.prefault('local'),
  control: controlSchema.prefault({}),
  datapath: datapathSchema.prefault({}),
  docker: dockerSchema.optional(),
  http: httpSchema.optional(),
  metrics: metricsSchema.optional(),
  networks: list(networkSchema, 'networks').default([]),
};

export const fileSchema = mapping(fileShape);

/** A complete configuration: defaults filled in. */
export type Config = z.output<typeof fileSchema>;
