/** Facts of machines that consist of a few files and the answers of two programs. */

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { gatherFacts } from '../../../../src/daemon/doctor/gather.js';
import { NO_PURPOSE } from '../../../../src/daemon/doctor/purpose.js';
import { FakeHost } from '../../../support/fakeDatapath.js';
import { BARE_MACHINE } from '../../../support/fakeMachine.js';

const { probe } = new FakeHost();

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  onTestFinished(() => rm(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

/** Facts of a machine with these files; programs print what `printed` has, the others are missing. */
async function factsWith(
  files: Readonly<Record<string, string>>,
  printed: Readonly<Record<string, string>> = {},
) {
  const root = await folderWith(files);
  const run = async (program: string) => printed[program] ?? (await BARE_MACHINE.run(program, []));
  return await gatherFacts({ root, run }, () => probe, NO_PURPOSE);
}

const unread = { unread: expect.stringMatching(/./) };

describe('facts', () => {
  it('are unread, each with its reason, where there is nothing', async () => {
    const failing = () => {
      throw new Error('no addon\nat line 1');
    };
    expect(await gatherFacts(BARE_MACHINE, failing, NO_PURPOSE)).toMatchObject({
      ...{ capabilities: unread, tunMode: unread, receiveBufferMax: unread, holders: unread },
      ...{ rpFilter: unread, kernelVxlan: unread, probe: { unread: 'no addon' } },
      userNamespaces: { value: {} },
      linkFiles: { value: undefined },
      firewall: { unread: 'nft: not installed; iptables-save: not installed' },
      node: process.versions.node,
    });
  });

  it('read capabilities by name, and sysctls', async () => {
    const facts = await factsWith({
      'proc/self/status': 'Name:\tx\nCapEff:\t0000000000203000\n',
      'proc/sys/user/max_user_namespaces': '96343\n',
      'proc/sys/kernel/unprivileged_userns_clone': '0\n',
      'proc/sys/net/core/rmem_max': '212992\n',
      'proc/sys/net/ipv4/conf/all/rp_filter': '1\n',
      'proc/sys/net/ipv4/conf/eth0/rp_filter': '0\n',
      'proc/sys/net/ipv4/conf/eth1/rp_filter': '2\n',
    });
    expect(facts).toMatchObject({
      capabilities: { value: new Set(['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_SYS_ADMIN']) },
      userNamespaces: { value: { most: 96343, unprivileged: 0 } },
      receiveBufferMax: { value: 212_992 },
      // The larger of all's and its own counts.
      rpFilter: { value: new Map(Object.entries({ eth0: 1, eth1: 2 })) },
    });
  });

  it('read who holds our port and the other usual one', async () => {
    const line = (n: number, port: string, inode: number) =>
      ` ${n}: 00000000:${port} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 ${inode} 2 0 0\n`;
    const udp = `sl local\n${line(1, '12B5', 4242)}${line(2, '2118', 0)}${line(3, '0035', 7)}`;
    const root = await folderWith({
      'proc/net/udp': udp,
      'proc/77/comm': 'MainThread\n',
      'proc/77/cmdline': '/usr/bin/node\0/opt/vswitchd/bin/vswitchd.js\0--vtep\0',
      'proc/77/fd/0': '',
    });
    await symlink('socket:[4242]', join(root, 'proc/77/fd/3'));
    const { holders } = await gatherFacts({ ...BARE_MACHINE, root }, () => probe, NO_PURPOSE);
    const process = { pid: '77', command: 'node vswitchd.js' };
    expect(holders).toEqual({
      value: [
        { port: 4789, everywhere: true, process },
        { port: 8472, everywhere: true },
      ],
    });
  });

  it("take iptables' word for iptables' rules, and nft's for the rest", async () => {
    const chain = (family: string, table: string) => ({
      chain: { family, table, name: 'INPUT', hook: 'input', policy: 'accept' },
    });
    const nft = JSON.stringify({ nftables: [chain('ip', 'filter'), chain('inet', 'own')] });
    const saved = '*filter\n:INPUT DROP [0:0]\nCOMMIT\n';
    const names = async (printed: Readonly<Record<string, string>>) => {
      const { firewall } = await factsWith({}, printed);
      return 'value' in firewall ? firewall.value.map(({ name }) => name) : firewall.unread;
    };
    const all = { nft, 'iptables-save': saved, 'ip6tables-save': saved };
    expect(await names(all)).toEqual([
      'inet own INPUT',
      'iptables filter INPUT',
      'ip6tables filter INPUT',
    ]);
    expect(await names({ nft })).toEqual(['ip filter INPUT', 'inet own INPUT']);
    expect(await names({ nft: 'garbage' })).toContain('not installed');
  });

  it('read link files as udev does: by name, the first folder wins', async () => {
    const facts = await factsWith({
      'run/udev/control': '',
      'etc/systemd/network/99-default.link': 'mine',
      'usr/lib/systemd/network/99-default.link': 'theirs',
      'usr/lib/systemd/network/73-usb.link': 'usb',
      'usr/lib/systemd/network/80-x.network': 'no link file',
    });
    expect(facts.linkFiles).toEqual({
      value: [
        { path: '/usr/lib/systemd/network/73-usb.link', text: 'usb' },
        { path: '/etc/systemd/network/99-default.link', text: 'mine' },
      ],
    });
  });

  it.each([
    [{ 'sys/module/vxlan/parameters/x': '' }, 'there'],
    [{ 'sys/module/tun/x': '' }, 'absent'],
  ])('%j: kernel vxlan is %s', async (files, found) => {
    expect((await factsWith(files)).kernelVxlan).toEqual({ value: found });
  });
});
