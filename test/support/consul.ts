/** Consul's own agent in development mode: server and client in one, with everything in memory. */

import { fileURLToPath } from 'node:url';
import { consulProgram } from '../../tools/setup/consul.mjs';
import { Child } from './child.js';
import { eventually } from './eventually.js';
import { freePorts } from './ports.js';
import type { Scope } from './scope.js';

export interface ConsulAgent {
  /** `127.0.0.1:port` of its HTTP API. */
  readonly address: string;
  readonly child: Child;
}

/** With `managementToken` nobody may do anything without a token, and who has this one everything. */
export async function startConsul(scope: Scope, managementToken?: string): Promise<ConsulAgent> {
  const [http, server, serf] = await freePorts(3);
  const acl = `acl { enabled = true default_policy = "deny" tokens { initial_management = "${managementToken}" } }`;
  const child = await Child.start(scope, {
    command: fileURLToPath(new URL(`../../${consulProgram}`, import.meta.url)),
    args: [
      ...['agent', '-dev', '-bind', '127.0.0.1', '-client', '127.0.0.1', '-log-level', 'error'],
      ...['-http-port', `${http}`, '-server-port', `${server}`, '-serf-lan-port', `${serf}`],
      ...['-serf-wan-port', '-1', '-dns-port', '-1', '-grpc-port', '-1', '-grpc-tls-port', '-1'],
      ...(managementToken === undefined ? [] : ['-hcl', acl]),
    ],
  });
  const address = `127.0.0.1:${http}`;
  const leader = async () => await (await fetch(`http://${address}/v1/status/leader`)).json();
  await eventually('a leader', async () => (await leader()) !== '', { within: 30_000 });
  return { address, child };
}
