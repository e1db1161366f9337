/** What a runtime asks after ADD: DEL, CHECK, GC, STATUS, VERSION; on one host whose network has a pool. */

import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { failureOf } from '../support/cni.js';
import { eventually } from '../support/eventually.js';
import { fileScope, testScope } from '../support/testScope.js';
import { addressOf, container, createNode, type Node } from './node.js';

const scope = fileScope();
let node: Node;

beforeAll(async () => {
  node = await createNode(scope);
  await node.vswitchd.ctl('network', 'add', 'net1', '--subnet', '10.30.0.0/24');
});

describe('DEL', () => {
  it('may come again, and for what was never attached', async () => {
    const c1 = await container('c1');
    await node.call('ADD', c1);
    expect(await node.ports()).toHaveLength(1);
    expect(await node.call('DEL', c1)).toBeUndefined();
    expect(await node.ports()).toEqual([]);
    expect(await c1.ipJson('link', 'show', 'type', 'tun')).toEqual([]);
    expect(await node.call('DEL', c1)).toBeUndefined();
  });

  it('needs no namespace any more', async () => {
    const c1 = await container('c1');
    await node.call('ADD', c1);
    await execa('ip', ['netns', 'del', c1.name]);
    expect(await node.call('DEL', c1, {}, { CNI_NETNS: '' })).toBeUndefined();
    expect(await node.ports()).toEqual([]);
  });
});

describe('ADD', () => {
  it('is refused for what is attached, which stays', async () => {
    const c1 = await container('c1');
    await node.add(c1);
    const failure = await failureOf(node.call('ADD', c1));
    expect(failure).toMatchObject({ code: 100 });
    expect(failure.message).toMatch('is attached already');
    expect(await node.ports()).toMatchObject([{ state: 'up' }]);
  });

  it('takes the place of what lost its namespace unnoticed', async () => {
    const c1 = await container('c1');
    await node.add(c1);
    await execa('ip', ['netns', 'del', c1.name]);
    await eventually('the loss', async () => (await node.ports())[0]?.state !== 'up');
    const c2 = await container('c2');
    const result = await node.add(c2, {}, { CNI_CONTAINERID: c1.name });
    expect(await node.ports()).toMatchObject([{ state: 'up', netns: c2.path }]);
    expect(result.interfaces?.[0]?.sandbox).toBe(c2.path);
    await node.call('DEL', c1);
  });

  it('is the first plugin alone', async () => {
    const failure = await failureOf(
      node.call('ADD', await container('c1'), { prevResult: { cniVersion: '1.1.0' } }),
    );
    expect(failure.code).toBe(7);
  });
});

describe('CHECK', () => {
  const routes = [{ dst: '0.0.0.0/0', gw: '10.30.0.254' }];

  it.each([
    ['the address', 'address flush dev eth0', /lacks the address 10\.30\./],
    ['the link', 'link set dev eth0 down', /eth0 is down/],
    ['the route', 'route flush default', /no route to 0\.0\.0\.0\/0 via 10\.30\.0\.254/],
    ['the name', 'link set dev eth0 name other', /no interface eth0/],
  ])('misses %s', async (_, command, sentence) => {
    const c1 = await container('c1');
    const prevResult = await node.add(c1, { ipam: { routes } });
    expect(await node.call('CHECK', c1, { prevResult })).toBeUndefined();
    await c1.ip(command);
    const failure = await failureOf(node.call('CHECK', c1, { prevResult }));
    expect(failure.code).toBe(100);
    expect(failure.details).toMatch(sentence);
  });

  it('misses the port', async () => {
    const c1 = await container('c1');
    const prevResult = await node.add(c1, { cniVersion: '0.4.0' });
    const more = { cniVersion: '0.4.0', prevResult };
    expect(await node.call('CHECK', c1, more)).toBeUndefined();
    await node.call('DEL', c1);
    expect((await failureOf(node.call('CHECK', c1, more))).details).toMatch('no such port');
  });

  it('came with version 0.4.0', async () => {
    const failure = await failureOf(
      node.call('CHECK', await container('c1'), { cniVersion: '0.3.1' }),
    );
    expect(failure.code).toBe(1);
  });
});

describe('GC', () => {
  it('removes what is not valid, of its own configuration alone', async () => {
    const [c1, c2, c3] = [await container('c1'), await container('c2'), await container('c3')];
    const other = { name: 'other', network: 'net1' };
    await node.add(c1);
    await node.add(c2);
    await node.add(c3, other);
    const valid = [{ containerID: c1.name, ifname: 'eth0' }];
    await node.call('GC', undefined, { 'cni.dev/valid-attachments': valid });
    const left = (await node.ports()).map(({ netns }) => netns);
    expect(left.sort()).toEqual([c1.path, c3.path].sort());
  });

  it('removes nothing when it is not told what is valid', async () => {
    await node.add(await container('c1'));
    expect((await failureOf(node.call('GC'))).code).toBe(7);
    expect(await node.ports()).toHaveLength(1);
  });
});

describe('STATUS', () => {
  it('is well when ADD would work', async () => {
    expect(await node.call('STATUS')).toBeUndefined();
    expect(await node.call('STATUS', undefined, { network: 'new', vni: 4000 })).toBeUndefined();
  });

  it('tells that there is no such network', async () => {
    expect((await failureOf(node.call('STATUS', undefined, { network: 'no' }))).code).toBe(50);
  });

  it('tells that vswitchd is away, and that it is back', async () => {
    await node.vswitchd.stop();
    await testScope().defer('the stop', () => node.vswitchd.start());
    expect((await failureOf(node.call('STATUS'))).code).toBe(51);
  });
});

it('VERSION tells all versions', async () => {
  const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
  expect(await node.call('VERSION')).toEqual({ cniVersion: '1.1.0', supportedVersions });
});

it('an attachment outlives a restart of vswitchd', async () => {
  const c1 = await container('c1');
  const prevResult = await node.add(c1, { ipam: { routes: [{ dst: '10.99.0.0/16' }] } });
  await node.vswitchd.stop();
  await node.vswitchd.start();
  expect(await node.call('CHECK', c1, { prevResult })).toBeUndefined();
  expect(addressOf(prevResult)).toMatch(/^10\.30\./);
});
