// CNI CHECK and STATUS: what changes nothing.

import type { Call } from './call.js';
import { CniError, CODES, daemonCode } from './cniError.js';
import { missing } from './containerLink.js';
import { delegate, isDelegated } from './ipamPlugin.js';
import { portName } from './portName.js';
import { readResult } from './result.js';

/** The container is attached as `prevResult` says; throws code 100 with all that differs. */
export async function check(call: Call): Promise<undefined> {
  const { config, environment, client } = call;
  const { attachment } = environment;
  if (config.prevResult === undefined || config.prevResult === null) {
    throw new CniError(CODES.badConfig, 'CHECK needs `prevResult`, the result of ADD');
  }
  const previous = readResult(config.prevResult, '`prevResult`');
  const at = previous.interfaces.findIndex(
    ({ name, sandbox }) => name === attachment.ifname && sandbox !== undefined && sandbox !== '',
  );
  const link = previous.interfaces[at];
  if (link === undefined) {
    throw new CniError(CODES.badConfig, `\`prevResult\` has no interface ${attachment.ifname}`);
  }
  await delegate(call, 'CHECK');
  const name = portName(config.name, attachment);
  const port = (await client.ports()).find((one) => one.name === name);
  if (port?.state !== 'up') {
    const why = port === undefined ? 'vswitchd has no such port' : (port.reason ?? port.state);
    throw new CniError(CODES.refused, `port ${name} is not up`, why);
  }
  const ips = previous.ips.filter((ip) => (ip.interface ?? at) === at);
  const differences = await missing(call, { link, ips, routes: previous.routes });
  if (differences.length === 0) return;
  throw new CniError(
    CODES.refused,
    `container ${attachment.containerId} is not attached as it was`,
    differences.join('; '),
  );
}

/** ADD would work now, as far as can be told; throws codes 50 and 51. */
export async function status(call: Call): Promise<undefined> {
  const { config, client } = call;
  const { store } = await client.status().catch((error) => {
    const { message } = error as Error;
    if (daemonCode(error) === undefined) throw error;
    throw new CniError(CODES.unavailableAndLimited, message);
  });
  const network = await client.network(config.network).catch((error) => {
    if (daemonCode(error) !== 'NETWORK_UNKNOWN') throw error;
    if (config.vni !== undefined || config.subnet !== undefined) return undefined;
    throw new CniError(CODES.unavailable, (error as Error).message);
  });
  const needsStore = network === undefined || network.pools.length > 0;
  if (needsStore && !isDelegated(call) && store.state !== 'connected') {
    throw new CniError(
      CODES.unavailable,
      `no address can be given: the store ${store.name} is ${store.state}`,
      store.detail,
    );
  }
  await delegate(call, 'STATUS');
}
