/**
 * Ports of every kind, on what looks to vswitchd and vswitchctl like older releases of Linux.
 *
 *   c1 … ── vswitchd (host one) ══ underlay ══ kernel vxlan (host two) ── c2
 *   user's ── user's vswitchd (host three) ══╝
 *
 * Each title below `at RELEASE` is a row of docs/old-kernels.md.
 */

import { beforeAll, describe, expect, test } from 'vitest';
import type { PortView } from '../../src/control/views.js';
import { type CniResult, failureOf, runPlugin, VSWITCH_CNI } from '../support/cni.js';
import { eventually } from '../support/eventually.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { createNamespace, type Namespace } from '../support/netns.js';
import { attachment, OrdinaryUser } from '../support/ordinaryUser.js';
import { packetPortOf } from '../support/packetPort.js';
import { expectPing } from '../support/ping.js';
import { expectTransfer, expectUdpEcho } from '../support/tcp.js';
import { fileScope, testScope } from '../support/testScope.js';
import { type Container, createContainer, createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';
import { LEVELS, launcher } from './levels.js';

describe.each(LEVELS)('at $release', ({ release, hasSetns, hasUserNamespaces }) => {
  const scope = fileScope();
  const user = new OrdinaryUser(21_510);
  let one: Host;
  let two: Host;
  let three: Host;
  let c2: Container;
  let vswitchd: Vswitchd;

  beforeAll(async () => {
    const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two', 'three'] });
    [one, two, three] = hosts as [Host, Host, Host];
    const peers = [one.address[4], three.address[4]];
    const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers });
    c2 = await createContainer(scope, 'c2', 2);
    await kernel.attach(c2);
    vswitchd = await Vswitchd.start(scope, one, {
      networks: networks(),
      launcher: launcher(release),
    });
  });

  function networks() {
    return [{ name: 'net', vni: 256, peers: [two.address[4]] }];
  }

  test('packet port, where there are no TAPs', async () => {
    const c1 = await createContainer(testScope(), 'c1', 1);
    const { ifname = '' } = await packetPortOf(one, c1);
    const words = ['--name', 'c1', '--kind', 'packet', '--ifname', ifname];
    await vswitchd.ctl('port', 'add', 'net', ...words);
    await expectPing(c1, { to: c2.address[4], size: 1422 });
    await expectPing(c2, { to: c1.address[6], size: 1402 });
    await expectTransfer({ from: c1, to: c2, family: 4, bytes: 2_000_000 });
    await expectTransfer({ from: c2, to: c1, family: 6, bytes: 500_000 });
    await expectUdpEcho({ from: c1, to: c2, family: 4 }, { flows: 2, count: 20, size: 1200 });
    await vswitchd.ctl('port', 'rm', 'c1');
    await vswitchd.balanced();
  });

  const withoutRoot = async () => {
    const own = await Vswitchd.start(testScope(), three, {
      networks: networks(),
      user,
      launcher: user.words(...launcher(release)),
    });
    const c3 = await user.container(testScope(), 'c3', 3);
    expect((await own.tryCtl(...attachment(c3))).stderr).toBe('');
    await expectPing(c3, { to: c2.address[4], size: 1422 });
    await expectTransfer({ from: c2, to: c3, family: 4, bytes: 2_000_000 });
    await c3.init.stop('SIGKILL');
    await eventually('end of the port', async () => {
      return (await own.ctl<PortView[]>('port', 'ls')).length === 0;
    });
    await own.stop();
  };

  const withoutUserNamespaces = async () => {
    const [command = '', ...words] = user.words(...launcher(release), 'unshare', '-Urn', 'true');
    const refused = await three.namespace.tryExec(command, words);
    expect(refused.stderr).toContain('Invalid argument');
  };

  if (hasUserNamespaces) test(WITHOUT_ROOT, withoutRoot);
  else test(`${WITHOUT_ROOT} – needs user namespaces (Linux 3.8)`, withoutUserNamespaces);

  async function cni(command: string, container: Namespace): Promise<CniResult | undefined> {
    const config = {
      cniVersion: '1.1.0',
      name: 'pods',
      type: 'vswitch-cni',
      socket: vswitchd.socket,
    };
    const env = {
      PATH: process.env.PATH ?? '',
      ...{ CNI_COMMAND: command, CNI_PATH: '/nowhere', CNI_IFNAME: 'eth0' },
      ...{ CNI_CONTAINERID: container.name, CNI_NETNS: container.path },
    };
    const text = JSON.stringify({ ...config, subnet: '10.31.0.0/24' });
    return await runPlugin([...launcher(release), VSWITCH_CNI], env, text);
  }

  const attach = async () => {
    const [a, b] = [
      await createNamespace(testScope(), 'a'),
      await createNamespace(testScope(), 'b'),
    ];
    await cni('ADD', a);
    const added = await cni('ADD', b);
    const [to = ''] = added?.ips?.[0]?.address.split('/') ?? [];
    await a.exec('ping', ['-c', '3', '-i', '0.05', '-w', '10', to]);
    for (const container of [a, b]) await cni('DEL', container);
    expect(await vswitchd.ctl('port', 'ls')).toEqual([]);
  };

  const refuse = async () => {
    const failure = await failureOf(cni('ADD', await createNamespace(testScope(), 'a')));
    expect(failure.message).toContain('the kernel has no setns');
    expect(await vswitchd.ctl('port', 'ls')).toEqual([]);
  };

  if (hasSetns) test(BY_CNI, attach);
  else test(`${BY_CNI} – needs setns (Linux 3.0): refused with that sentence`, refuse);
});

const WITHOUT_ROOT = 'without root: TAPs that are handed over';
const BY_CNI = 'containers of a CNI runtime';
