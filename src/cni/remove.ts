// CNI DEL and GC: what ends attachments. Both may come any number of times.

import type { ControlClient } from '../control/client.js';
import type { Call } from './call.js';
import { asCniError, CniError, CODES, daemonCode } from './cniError.js';
import { delegate } from './ipamPlugin.js';
import { portName, portPrefix } from './portName.js';

/**
 * The port first, so that nobody gets its address while it still works. With vswitchd away nothing is given
 * back, and the runtime is told to try again.
 */
export async function del(call: Call): Promise<undefined> {
  await removePort(call.client, portName(call.config.name, call.environment.attachment));
  await delegate(call, 'DEL');
}

/** Removes this configuration's ports that no valid attachment has; goes on after a failure. */
export async function collectGarbage(call: Call): Promise<undefined> {
  const { config, client } = call;
  if (config.validAttachments === undefined) {
    throw new CniError(CODES.badConfig, 'GC needs `cni.dev/valid-attachments`');
  }
  const valid = new Set(
    config.validAttachments.map(({ containerID, ifname }) =>
      portName(config.name, { containerId: containerID, ifname }),
    ),
  );
  const prefix = portPrefix(config.name);
  const stale = (await client.ports())
    .map(({ name }) => name)
    .filter((name) => name.startsWith(prefix) && !valid.has(name));
  const failures: CniError[] = [];
  const attempt = async (work: Promise<void>) => {
    await work.catch((error) => {
      const known = asCniError(error);
      if (!(known instanceof CniError)) throw error;
      failures.push(known);
    });
  };
  for (const name of stale) await attempt(removePort(client, name));
  await attempt(delegate(call, 'GC'));
  const [first] = failures;
  if (first === undefined) return;
  throw new CniError(first.code, first.message, failures.map((one) => one.message).join('; '));
}

async function removePort(client: ControlClient, name: string): Promise<void> {
  try {
    await client.removePort(name);
  } catch (error) {
    if (daemonCode(error) !== 'PORT_UNKNOWN') throw error;
  }
}
