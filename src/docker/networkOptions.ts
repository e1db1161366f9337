// What people type as `docker network create --opt KEY=VALUE`. All values are text.

import * as z from 'zod';
import { mapping, oneOf } from '../config/leaf.js';
import { MTU_MAX, MTU_MIN } from '../config/networkSchema.js';
import { problemsOf } from '../config/problem.js';
import { SwitchError } from '../model/error.js';
import { VNI_MAX, VNI_MIN } from '../model/vni.js';
import { formatVtep, parseVtep } from '../model/vtep.js';
import type { DockerNetwork } from './host.js';

export type NetworkOptions = Pick<DockerNetwork, 'vni' | 'mtu' | 'peers' | 'port_security'>;

/** What Docker's own overlay driver takes off the underlay's MTU, whatever the underlay. */
const OVERLAY_OVERHEAD = 50;

/** Names of Docker's own overlay driver, so that its commands work here. */
const OVERLAY_VNI = 'com.docker.network.driver.overlay.vxlanid_list';
const OVERLAY_MTU = 'com.docker.network.driver.mtu';

function number(min: number, max: number, what: string) {
  const error = `${what} ${min}-${max}`;
  return z
    .string({ error })
    .regex(/^\d{1,9}$/, { error })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error });
}

const PEERS = 'VTEP addresses with commas between them, such as 10.0.0.2,10.0.0.3';

const schema = mapping({
  vni: number(VNI_MIN, VNI_MAX, 'a VNI: a whole number').optional(),
  /** Of the container's interface. */
  mtu: number(MTU_MIN, MTU_MAX, 'the MTU of the containers in bytes:').optional(),
  peers: z
    .string({ error: PEERS })
    .transform((raw, context) =>
      raw.split(',').flatMap((part) => {
        const vtep = parseVtep(part.trim());
        if (vtep !== undefined) return [formatVtep(vtep)];
        context.issues.push({ code: 'custom', input: raw, message: PEERS });
        return [];
      }),
    )
    .optional(),
  port_security: oneOf('auto', 'off').default('auto'),
  /** One number: the built-in driver takes one for each subnet, and we have one subnet. */
  [OVERLAY_VNI]: number(VNI_MIN, VNI_MAX, 'one VNI: a whole number').optional(),
  /** Of the underlay, as there. */
  [OVERLAY_MTU]: number(
    MTU_MIN + OVERLAY_OVERHEAD,
    MTU_MAX + OVERLAY_OVERHEAD,
    'the MTU of the underlay in bytes:',
  ).optional(),
});

/** Throws DRIVER_OPTIONS with every problem, or DRIVER_REFUSES. */
export function parseNetworkOptions(raw: Readonly<Record<string, unknown>>): NetworkOptions {
  if (Object.hasOwn(raw, 'encrypted')) {
    throw new SwitchError('DRIVER_REFUSES', 'an encrypted network', {
      fix: 'leave `encrypted` out, and encrypt the underlay (WireGuard, IPsec) where it needs to be',
    });
  }
  const { data, error } = schema.safeParse(raw);
  if (error !== undefined) {
    throw new SwitchError('DRIVER_OPTIONS', '', { problems: problemsOf(error.issues, raw) });
  }
  const underlayMtu = data[OVERLAY_MTU];
  const containerMtu = underlayMtu === undefined ? undefined : underlayMtu - OVERLAY_OVERHEAD;
  return {
    vni: one('vni', data.vni, OVERLAY_VNI, data[OVERLAY_VNI]),
    mtu: one('mtu', data.mtu, OVERLAY_MTU, containerMtu),
    peers: data.peers ?? [],
    port_security: data.port_security === 'auto',
  };
}

/** Two names of one setting may both be given when they agree. */
function one(name: string, value: number | undefined, other: string, same: number | undefined) {
  if (value !== undefined && same !== undefined && value !== same) {
    const allowed = `what \`${other}\` says, which is ${same}`;
    const problems = [{ path: name, value, allowed }];
    throw new SwitchError('DRIVER_OPTIONS', '', { problems });
  }
  return value ?? same;
}
