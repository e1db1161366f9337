// The network configuration that a runtime writes to our standard input: CNI spec 1.1.0, "Configuration".

import * as z from 'zod';
import { filePath, list, name, stationMac, subnet, text, whole } from '../config/leaf.js';
import { MTU_MAX, MTU_MIN } from '../config/networkSchema.js';
import { problemsOf } from '../config/problem.js';
import { problemText } from '../model/error.js';
import { isHostAddress, parseCidr, parseIp } from '../model/ip.js';
import { VNI_MAX, VNI_MIN } from '../model/vni.js';
import { CniError, CODES } from './cniError.js';
import { type Environment, IDENTIFIER } from './environment.js';
import { dnsSchema, routeSchema } from './result.js';

const identifier = () =>
  text('letters, digits, `_`, `.`, `-`, a letter or digit first', (raw) =>
    IDENTIFIER.test(raw) ? raw : undefined,
  );

const wishedAddress = () =>
  text('an address such as 10.0.0.5, or with prefix length 10.0.0.5/24', (raw) => {
    const ip = parseCidr(raw) ?? parseIp(raw);
    return ip !== undefined && isHostAddress(ip) ? raw : undefined;
  });

/** What a runtime may wish for one attachment, by whichever way. */
const wishes = z.looseObject({
  mac: stationMac().optional(),
  ips: list(wishedAddress(), 'addresses').optional(),
});

const attachment = z.looseObject({ containerID: identifier(), ifname: z.string() });

/** Where addresses come from unless another plugin is named: the pools of the network. */
export const OWN_IPAM = 'vswitch';

const ipam = z.looseObject({
  type: text('the name of an IPAM plugin', (raw) =>
    /^[^/\0]+$/.test(raw) && !/^\.\.?$/.test(raw) ? raw : undefined,
  ).default(OWN_IPAM),
  routes: list(routeSchema, 'routes {dst, gw}').default([]),
});

/** Other keys are other plugins' or the runtime's, and are let be. */
const schema = z.looseObject({
  name: identifier(),
  network: name().optional(),
  vni: whole(VNI_MIN, VNI_MAX, 'a VNI: a whole number').optional(),
  subnet: subnet().optional(),
  socket: filePath().optional(),
  mtu: whole(MTU_MIN, MTU_MAX, 'an MTU in bytes').optional(),
  ipam: ipam.prefault({}),
  dns: dnsSchema.optional(),
  runtimeConfig: wishes.prefault({}),
  args: z.looseObject({ cni: wishes.prefault({}) }).prefault({}),
  prevResult: z.unknown().optional(),
  'cni.dev/valid-attachments': list(attachment, 'attachments').optional(),
});

type Wishes = z.output<typeof wishes>;

/** One network as the runtime's administrator wrote it, with what the runtime added for this call. */
export interface NetworkConfig {
  /** Of the configuration; attachments are remembered under it. */
  readonly name: string;
  /** vswitchd's network. */
  readonly network: string;
  /** With either, a network that is missing is made. */
  readonly vni?: number | undefined;
  readonly subnet?: string | undefined;
  /** vswitchd's control socket; absent = the usual one. */
  readonly socket?: string | undefined;
  /** Of the interface; absent = the network's. */
  readonly mtu?: number | undefined;
  readonly ipam: z.output<typeof ipam>;
  readonly dns?: z.output<typeof dnsSchema> | undefined;
  /** MAC and addresses that the runtime wants; it knows three ways, the newest wins. */
  readonly wishes: Wishes;
  readonly prevResult: unknown;
  /** What GC shall leave; absent in every other call. */
  readonly validAttachments?: readonly z.output<typeof attachment>[] | undefined;
}

/**
 * `args` are CNI_ARGS. Throws code 7 with all problems.
 * For DEL and GC, which must undo also what was refused, only what they need is read.
 */
export function readNetworkConfig(
  raw: object,
  { command, args }: Pick<Environment, 'command' | 'args'>,
): NetworkConfig {
  return command === 'DEL' || command === 'GC'
    ? readWhole(essentialsOf(raw), new Map())
    : readWhole(raw, args);
}

function essentialsOf(raw: object): object {
  const only = (object: object, keys: readonly string[]) =>
    Object.fromEntries(Object.entries(object).filter(([key]) => keys.includes(key)));
  const kept = only(raw, ['name', 'socket', 'ipam', 'cni.dev/valid-attachments']);
  const { ipam: source } = kept;
  return source instanceof Object ? { ...kept, ipam: only(source, ['type']) } : kept;
}

function readWhole(raw: object, args: ReadonlyMap<string, string>): NetworkConfig {
  const { data, error } = schema.safeParse(raw);
  if (data === undefined) throw badConfig(error.issues, raw);
  const { network = data.name, args: conventions, runtimeConfig, ...rest } = data;
  return {
    ...rest,
    network,
    wishes: {
      ...wishesOfArgs(args),
      ...defined(conventions.cni),
      ...defined(runtimeConfig),
    },
    prevResult: data.prevResult,
    validAttachments: data['cni.dev/valid-attachments'],
  };
}

/** The old way: CNI_ARGS="MAC=02:42:…;IP=10.0.0.5/24". */
function wishesOfArgs(args: ReadonlyMap<string, string>): Wishes {
  const ip = args.get('IP');
  const raw = { mac: args.get('MAC'), ...(ip === undefined ? {} : { ips: ip.split(',') }) };
  const { data, error } = wishes.safeParse(raw);
  if (data === undefined) throw badConfig(error.issues, raw);
  return defined(data);
}

function defined({ mac, ips }: Wishes): Wishes {
  return {
    ...(mac === undefined ? {} : { mac }),
    ...(ips === undefined || ips.length === 0 ? {} : { ips }),
  };
}

function badConfig(issues: readonly z.core.$ZodIssue[], raw: unknown): CniError {
  const problems = problemsOf(issues, raw).map(problemText);
  return new CniError(CODES.badConfig, 'the network configuration is refused', problems.join('; '));
}
