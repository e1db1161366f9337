// Two hosts, the switch of an ordinary user on each, and containers in namespaces that he made himself.

import { beforeAll, describe, expect, test } from 'vitest';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { OrdinaryUser, type UserContainer } from '../support/ordinaryUser.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer } from '../support/tcp.js';
import { fileScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';

/**
 *   c1, c4 ── vswitchd of u1 (host one) ══ underlay ══ vswitchd of u2 (host two) ── c2
 *                                                  ══ kernel vxlan (host three) ── c3
 */
describe('without root', () => {
  const scope = fileScope();
  const [u1, u2] = [new OrdinaryUser(21_501), new OrdinaryUser(21_502)];
  let a: Vswitchd;
  let c1: UserContainer;
  let c2: UserContainer;
  let c3: Container;
  let c4: UserContainer;

  beforeAll(async () => {
    const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
    const [one, two, three] = hosts as [Host, Host, Host];
    const network = (...others: Host[]) => ({
      ...{ name: 'net', vni: 256, peers: others.map((host) => host.address[4]) },
    });
    a = await Vswitchd.start(scope, one, { user: u1, networks: [network(two, three)] });
    const b = await Vswitchd.start(scope, two, { user: u2, networks: [network(one, three)] });
    const peers = [one.address[4], two.address[4]];
    const kernel = await createKernelVxlan(three, { vni: 256, family: 4, peers });
    c1 = await u1.container(scope, 'c1', 1);
    c2 = await u2.container(scope, 'c2', 2);
    c3 = await createContainer(scope, 'c3', 3);
    c4 = await u1.container(scope, 'c4', 4);
    await kernel.attach(c3);
    await u1.attach(a, c1);
    await u2.attach(b, c2);
    await u1.attach(a, c4);
  }, 90_000);

  test('the switch has no capability [S264]', async () => {
    const status = await a.host.namespace.exec('cat', [`/proc/${a.pid}/status`]);
    expect(status).toMatch(/CapPrm:\t0+\n/);
    expect(status).toMatch(/CapEff:\t0+\n/);
    expect(status).toMatch(new RegExp(`Uid:\t${u1.uid}\t`));
  });

  test('containers of one host reach each other', () => expectPing(c1, { to: c4.address[4] }));

  test('containers of two hosts reach each other, with both families', async () => {
    await expectPing(c1, { to: c2.address[4], size: 1422 });
    await expectPing(c2, { to: c1.address[6] });
  });

  test(
    'TCP arrives as it was sent',
    () => expectTransfer({ from: c1, to: c2, family: 4, bytes: 20_000_000 }),
    60_000,
  );

  test('a kernel vxlan is a peer as any other [S265]', async () => {
    await expectPing(c1, { to: c3.address[4] });
    await expectPing(c3, { to: c2.address[4] });
    await expectTransfer({ from: c3, to: c1, family: 4, bytes: 5_000_000 });
  }, 60_000);

  test('superframes pass: the TAP has all offloads', async () => {
    const counters = await a.network('net');
    expect(counters.ports.find(({ name }) => name === 'c1')).toMatchObject({ state: 'up' });
    const features = await c1.namespace.exec('ethtool', ['-k', 'eth0']);
    expect(features).toMatch(/tcp-segmentation-offload: on/);
    expect(features).toMatch(/tx-checksumming: on/);
  });
});
