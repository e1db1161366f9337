/** A host with vswitchd, and a container runtime's way to it. */

import type { NetworkView, PortView } from '../../src/control/views.js';
import { type CniResult, callPlugin } from '../support/cni.js';
import { createNamespace, type Namespace } from '../support/netns.js';
import type { Scope } from '../support/scope.js';
import { testScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { type NetworkConfig, Vswitchd } from '../support/vswitchd.js';

type Variables = Readonly<Record<string, string>>;

export class Node {
  readonly vswitchd: Vswitchd;

  constructor(vswitchd: Vswitchd) {
    this.vswitchd = vswitchd;
  }

  /** The configuration of network `net1`, and what differs from it. */
  config(more: object = {}): object {
    const { socket } = this.vswitchd;
    return { cniVersion: '1.1.0', name: 'net1', type: 'vswitch-cni', socket, ...more };
  }

  async call(command: string, container?: Namespace, more: object = {}, variables: Variables = {}) {
    const call = { command, config: this.config(more), variables };
    return await callPlugin(container === undefined ? call : { ...call, container });
  }

  /** ADD; DEL follows at the end of the test. */
  async add(container: Namespace, more: object = {}, variables: Variables = {}) {
    await testScope().defer(`attachment of ${container.name}`, () =>
      this.call('DEL', container, more),
    );
    return (await this.call('ADD', container, more, variables)) as CniResult;
  }

  async ports(): Promise<PortView[]> {
    return await this.vswitchd.ctl<PortView[]>('port', 'ls');
  }

  async networks(): Promise<NetworkView[]> {
    return await this.vswitchd.ctl<NetworkView[]>('network', 'ls');
  }
}

/** A host alone, whose networks are its own. */
export async function createNode(
  scope: Scope,
  networks: readonly NetworkConfig[] = [],
): Promise<Node> {
  const { hosts } = await createUnderlay(scope, { hosts: ['a'] });
  return new Node(await Vswitchd.start(scope, hosts[0] as Host, { networks }));
}

/** An empty namespace for the running test. */
export async function container(label: string): Promise<Namespace> {
  return await createNamespace(testScope(), label);
}

/** The first address, without prefix length. */
export function addressOf({ ips }: CniResult): string {
  return ips?.[0]?.address.split('/')[0] ?? 'none';
}

/** Throws with ping's words unless all is answered. */
export async function reach(from: Namespace, to: string): Promise<void> {
  const { stdout, stderr } = await from.tryExec('ping', ['-c', '3', '-i', '0.05', '-w', '10', to]);
  if (!stdout.includes(' 0% packet loss'))
    throw new Error(`${from.name} -> ${to}: ${stdout}${stderr}`);
}
