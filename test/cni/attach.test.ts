/**
 * A container runtime's calls to vswitch-cni, with addresses from the store's pools.
 *
 *   c1 ── vswitchd (host a) ══ underlay ══ vswitchd (host b) ── c2
 *                                 └ etcd
 */

import { beforeAll, describe, expect, it } from 'vitest';
import type { NetworkView, PortView } from '../../src/control/views.js';
import { type CniResult, callPlugin, failureOf } from '../support/cni.js';
import { eventually } from '../support/eventually.js';
import { createNamespace, type Namespace, temporaryDirectory } from '../support/netns.js';
import { fileScope, testScope } from '../support/testScope.js';
import { createUnderlay } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';

const STORE = '10.200.0.200';
const scope = fileScope();
let a: Vswitchd;
let b: Vswitchd;

async function startEtcd(wire: Namespace): Promise<void> {
  await wire.ip(`address add ${STORE}/24 dev wire`);
  const client = `http://${STORE}:2379`;
  const peer = `http://${STORE}:2380`;
  await wire.spawn(scope, {
    command: 'etcd',
    args: [
      ...['--data-dir', await temporaryDirectory(scope, 'etcd'), '--log-level', 'error'],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `default=${peer}`],
    ],
  });
}

beforeAll(async () => {
  const { hosts, wire } = await createUnderlay(scope, { hosts: ['a', 'b'] });
  await startEtcd(wire);
  const spec = { networks: [], store: `etcd://${STORE}:2379/test` };
  const [one, two] = hosts;
  a = await Vswitchd.start(scope, one!, spec);
  b = await Vswitchd.start(scope, two!, spec);
  await a.ctl('network', 'add', 'net1', '--subnet', '10.30.0.0/24');
  await eventually('net1 at host b', async () => {
    const networks = await b.ctl<NetworkView[]>('network', 'ls');
    return networks.some(({ name }) => name === 'net1');
  });
});

/** The configuration at that host. */
function config(host: Vswitchd, more: object = {}): object {
  return { cniVersion: '1.1.0', name: 'net1', type: 'vswitch-cni', socket: host.socket, ...more };
}

async function ports(host: Vswitchd): Promise<PortView[]> {
  return await host.ctl<PortView[]>('port', 'ls');
}

/** ADD, with DEL at the end of the test. */
async function attached(host: Vswitchd, container: Namespace, more: object = {}) {
  const call = { config: config(host, more), container };
  await testScopeOf(container, () => callPlugin({ command: 'DEL', ...call }));
  return (await callPlugin({ command: 'ADD', ...call })) as CniResult;
}

async function testScopeOf(container: Namespace, undo: () => Promise<unknown>): Promise<void> {
  await testScope().defer(`attachment of ${container.name}`, undo);
}

async function container(label: string): Promise<Namespace> {
  return await createNamespace(testScope(), label);
}

async function expectPing(from: Namespace, to: string): Promise<void> {
  const { stdout } = await from.tryExec('ping', ['-c', '3', '-i', '0.05', '-w', '10', to]);
  expect(stdout).toMatch(/ 0% packet loss/);
}

describe('ADD', () => {
  it('joins containers of two hosts', async () => {
    const [c1, c2] = [await container('c1'), await container('c2')];
    const first = await attached(a, c1);
    const second = await attached(b, c2);
    expect(first).toEqual({
      cniVersion: '1.1.0',
      interfaces: [
        {
          name: 'eth0',
          mac: expect.stringMatching(/^02:42:0a:1e:00:/),
          mtu: 1450,
          sandbox: c1.path,
        },
      ],
      ips: [{ address: expect.stringMatching(/^10\.30\.0\.\d+\/24$/), interface: 0 }],
      routes: [],
      dns: {},
    });
    const to = second.ips?.[0]?.address.split('/')[0] ?? '';
    await expectPing(c1, to);
  });
});

describe('DEL', () => {
  it('may come again, and for what was never attached', async () => {
    const c1 = await container('c1');
    const call = { config: config(a), container: c1 };
    await callPlugin({ command: 'ADD', ...call });
    expect(await ports(a)).toHaveLength(1);
    expect(await callPlugin({ command: 'DEL', ...call })).toBeUndefined();
    expect(await ports(a)).toEqual([]);
    expect(await c1.ipJson('link', 'show', 'type', 'tun')).toEqual([]);
    expect(await callPlugin({ command: 'DEL', ...call })).toBeUndefined();
  });
});

describe('a refusal', () => {
  it('names the network that is not there', async () => {
    const call = { config: config(a, { network: 'nowhere' }), container: await container('c1') };
    const failure = await failureOf(callPlugin({ command: 'ADD', ...call }));
    expect(failure).toMatchObject({ code: 7, details: 'vswitchd says NETWORK_UNKNOWN' });
  });
});
