/**
 * Podman on two hosts, each with its containers in a network of vswitchd by way of its CNI plugins.
 *
 *   podman a: c1 ── vswitchd (host a) ══ underlay ══ vswitchd (host b) ── c2: podman b
 */

import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { IMAGE, Podman } from '../support/podman.js';
import { fileScope } from '../support/testScope.js';
import { createUnderlay, type Host } from '../support/topology.js';
import { Vswitchd } from '../support/vswitchd.js';
import { Node } from './node.js';

const scope = fileScope();

/** What host `self` runs, with the other as its peer; `first` is the first address that its host-local gives. */
async function station(self: Host, other: Host, first: string) {
  const networks = [{ name: 'net1', vni: 256, peers: [other.address[4]] }];
  const vswitchd = await Vswitchd.start(scope, self, { networks });
  const ranges = [[{ subnet: '10.60.0.0/24', rangeStart: first }]];
  const ipam = { type: 'host-local', dataDir: `${vswitchd.folder}/host-local`, ranges };
  const plugin = { type: 'vswitch-cni', socket: vswitchd.socket, ipam };
  const capabilities = { ips: true, mac: true };
  const list = {
    ...{ cniVersion: '0.4.0', name: 'net1' },
    plugins: [
      { ...plugin, capabilities },
      { type: 'tuning', dataDir: `${vswitchd.folder}/tuning` },
    ],
  };
  return { node: new Node(vswitchd), podman: await Podman.create(scope, self, [list]) };
}

it('containers of two hosts reach each other, and leave nothing', async () => {
  const { hosts } = await createUnderlay(scope, { hosts: ['a', 'b'] });
  const [one, two] = hosts as [Host, Host];
  const a = await station(one, two, '10.60.0.10');
  const b = await station(two, one, '10.60.0.20');
  const mac = '02:42:aa:bb:cc:09';
  const fixed = ['--ip', '10.60.0.30', '--mac-address', mac];
  await b.podman.run(
    ...['run', '-d', '--name', 'c2', '--network', 'net1', ...fixed, IMAGE, 'sleep', '1000'],
  );
  expect(await b.node.ports()).toMatchObject([
    { state: 'up', mac, addresses: ['10.60.0.30/24'], ifname: 'eth0' },
  ]);

  const asking = ['run', '--rm', '--cap-add', 'NET_RAW', '--network', 'net1', IMAGE];
  const answer = await a.podman.run(...asking, 'ping', '-c', '3', '-w', '20', '10.60.0.30');
  expect(answer).toMatch(/ 0% packet loss/);
  expect(await a.node.ports()).toEqual([]);

  await b.podman.run('restart', '-t', '0', 'c2');
  await eventually('c2 again', async () => (await b.node.ports())[0]?.state === 'up');
  const again = await a.podman.run(...asking, 'ping', '-c', '3', '-w', '20', '10.60.0.30');
  expect(again).toMatch(/ 0% packet loss/);
  await b.podman.run('rm', '-f', '-t', '0', 'c2');
  expect(await b.node.ports()).toEqual([]);
});
