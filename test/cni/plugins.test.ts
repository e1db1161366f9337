/**
 * vswitch-cni among the plugins of the CNI project: addresses from host-local, and others behind it. The
 * host has an interface of its own in the network, which is the containers' way out.
 *
 *   c1 ── vswitchd ── net1gw 10.40.0.1 (host) ── und0 ── client
 */

import { readdir } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CniResult, callPlugin, failureOf, pluginPath } from '../support/cni.js';
import { createNamespace, type Namespace, temporaryDirectory } from '../support/netns.js';
import { fileScope, testScope } from '../support/testScope.js';
import { addressOf, container, createNode, type Node, reach } from './node.js';

const scope = fileScope();
let node: Node;
/** Where host-local remembers. */
let dataDir: string;

beforeAll(async () => {
  const gateway = { name: 'net1gw', addresses: ['10.40.0.1/24'] };
  node = await createNode(scope, [{ name: 'net1', vni: 256, ports: [gateway] }]);
  dataDir = await temporaryDirectory(scope, 'host-local');
});

function hostLocal(more: object = {}) {
  const ranges = [[{ subnet: '10.40.0.0/24', rangeStart: '10.40.0.10', gateway: '10.40.0.1' }]];
  const ipam = { type: 'host-local', dataDir, ranges, routes: [{ dst: '0.0.0.0/0' }], ...more };
  return { cniVersion: '1.0.0', ipam };
}

/** Addresses of the network that host-local has given. */
async function given(): Promise<string[]> {
  const files = await readdir(`${dataDir}/net1`).catch(() => []);
  return files.filter((name) => /^\d/.test(name));
}

describe('host-local', () => {
  it('gives addresses, a gateway and routes, and gets them back', async () => {
    const c1 = await container('c1');
    const result = (await node.call('ADD', c1, hostLocal())) as CniResult;
    expect(result).toMatchObject({
      ips: [{ address: expect.stringMatching(/^10\.40\.0\.\d+\/24$/), gateway: '10.40.0.1' }],
      routes: [{ dst: '0.0.0.0/0', gw: '10.40.0.1' }],
    });
    expect(await given()).toEqual([addressOf(result)]);
    await reach(c1, '10.40.0.1');
    const check = { ...hostLocal(), prevResult: result };
    expect(await node.call('CHECK', c1, check)).toBeUndefined();
    await node.call('DEL', c1, hostLocal());
    expect(await given()).toEqual([]);
  });

  it('gets its address back when the attachment fails', async () => {
    const c1 = await container('c1');
    await c1.ip('link add name eth0 type veth peer name other');
    const failure = await failureOf(node.call('ADD', c1, hostLocal()));
    expect(failure.details).toBe('vswitchd says IFNAME_TAKEN');
    expect(await given()).toEqual([]);
  });

  it('keeps the address of what is attached when ADD comes again', async () => {
    const c1 = await container('c1');
    const result = await node.add(c1, hostLocal());
    await failureOf(node.call('ADD', c1, hostLocal()));
    expect(await given()).toEqual([addressOf(result)]);
  });

  it('is heard when it refuses', async () => {
    const failure = await failureOf(
      node.call('ADD', await container('c1'), hostLocal({ ranges: [] })),
    );
    expect(failure.message).toMatch(/range/);
    expect(await node.ports()).toMatchObject([{ name: 'net1gw' }]);
  });

  it('may be missing', async () => {
    const more = { ipam: { type: 'no-such-plugin' } };
    const failure = await failureOf(node.call('ADD', await container('c1'), more));
    expect(failure).toMatchObject({ code: 7 });
    expect(failure.message).toMatch('no-such-plugin');
  });
});

describe('behind it', () => {
  /** ADD of one plugin of the CNI project; DEL follows at the end of the test. */
  async function chained(type: string, of: Namespace, prevResult: CniResult, more: object) {
    const config = { cniVersion: '1.0.0', name: 'net1', type, prevResult, ...more };
    const call = { plugin: pluginPath(type), config, container: of };
    const inHost = async (command: string) => {
      const run = { ...call, command, namespace: node.vswitchd.host.namespace };
      return (await callPlugin(run)) as CniResult;
    };
    await testScope().defer(`${type} of ${of.name}`, () => inHost('DEL'));
    return await inHost('ADD');
  }

  it('tuning sets what it is to set in the container', async () => {
    const c1 = await container('c1');
    const result = await node.add(c1, hostLocal());
    const sysctl = { 'net.ipv4.conf.eth0.arp_ignore': '1' };
    const last = await chained('tuning', c1, result, { sysctl, dataDir });
    expect(last.ips).toEqual(result.ips);
    const value = await c1.exec('cat', ['/proc/sys/net/ipv4/conf/eth0/arp_ignore']);
    expect(value.trim()).toBe('1');
  });

  it('portmap publishes a port of the container on the host', async () => {
    const host = node.vswitchd.host.namespace;
    await host.sysctl({ 'ipv4/ip_forward': 1 });
    const client = await createNamespace(testScope(), 'client');
    await host.ip(`link add name cli0 type veth peer name eth0 netns ${client.name}`);
    await host.ip('address add 10.41.0.1/24 dev cli0\nlink set dev cli0 up');
    await client.ip('address add 10.41.0.2/24 dev eth0\nlink set dev eth0 up');
    const c1 = await container('c1');
    const result = await node.add(c1, hostLocal());
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }];
    await chained('portmap', c1, result, {
      capabilities: { portMappings: true },
      runtimeConfig: { portMappings },
    });
    const server = await c1.spawn(testScope(), {
      command: process.execPath,
      args: ['-e', SERVER],
    });
    await server.waitForLine(/listening/);
    const answer = await client.exec(process.execPath, ['-e', CLIENT]);
    expect(answer.trim()).toBe('hello from c1');
  });

  it('firewall lets its addresses pass', async () => {
    const c1 = await container('c1');
    const result = await node.add(c1, hostLocal());
    await chained('firewall', c1, result, { backend: 'iptables' });
    const rules = await node.vswitchd.host.namespace.exec('iptables', ['-S', 'CNI-FORWARD']);
    expect(rules).toContain(`-s ${addressOf(result)}/32 -j ACCEPT`);
  });
});

const SERVER = `require('node:net').createServer((socket) => socket.end('hello from c1'))
  .listen(80, '0.0.0.0', () => console.log('listening'))`;
const CLIENT = `require('node:net').connect(8080, '10.41.0.1').pipe(process.stdout)`;
