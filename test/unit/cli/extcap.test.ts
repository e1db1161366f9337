/** vswitchctl extcap, as Wireshark calls it. */

import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { placeOf } from '../../../src/capture/extcap.js';
import { pcapngBlocks } from '../../../src/capture/pcapngBlocks.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const NETWORKS = `networks:
  - {name: net1, vni: 300, peers: [10.200.0.2, "10.200.0.3"], ports: [{name: c1, netns: c1}]}
  - {name: drops, vni: 301}
`;

async function running(): Promise<FakeDaemon> {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  return await FakeDaemon.running(NETWORKS, host);
}

const values = (text: string) => [...text.matchAll(/\{value=([^}]*)\}\{d/g)].map(([, it]) => it);

describe('extcap', () => {
  it('lists what there is', async () => {
    const fake = await running();
    const { code, out } = await fake.ctl('extcap', '--extcap-interfaces', '--extcap-version=4.0');
    expect(code).toBe(0);
    expect(out).toMatch(/^extcap \{version=[\d.]+\}\{display=vswitchd\}\n/);
    expect(out).toContain(
      'interface {value=vswitchd-port-c1}{display=vswitchd, port c1 of net1}\n',
    );
    expect(values(out)).toEqual([
      ...['vswitchd', 'vswitchd-drops', 'vswitchd-network-net1', 'vswitchd-network-drops'],
      ...['vswitchd-port-c1'],
      ...['vswitchd-peer-10.200.0.2', 'vswitchd-peer-10.200.0.3'],
    ]);
  });

  it('without a daemon lists one interface and complains of nothing', async () => {
    const fake = await FakeDaemon.create();
    const { code, out, err } = await fake.ctl('extcap', '--extcap-interfaces');
    expect([code, err, values(out)]).toEqual([0, '', ['vswitchd']]);
  });

  it.each([
    ['vswitchd', {}],
    ['vswitchd-drops', { drops: true }],
    ['vswitchd-network-drops', { network: 'drops' }],
    ['vswitchd-port-c1', { port: 'c1' }],
    ['vswitchd-peer-fd00:200::1', { peer: 'fd00:200::1' }],
    ['vswitchd-peer-', undefined],
    ['vswitchd-', undefined],
    ['eth0', undefined],
  ])('%s is %j', (value, place) => expect(placeOf(value)).toEqual(place));

  it('knows link type and options of each', async () => {
    const fake = await FakeDaemon.create();
    const about = ['--extcap-interface', 'vswitchd-network-net1'];
    expect((await fake.ctl('extcap', '--extcap-dlts', ...about)).out).toBe(
      'dlt {number=1}{name=EN10MB}{display=Ethernet}\n',
    );
    const { out } = await fake.ctl('extcap', '--extcap-config', ...about);
    expect([...out.matchAll(/\{call=([^}]*)\}/g)].map(([, call]) => call)).toEqual([
      ...['--side', '--drops', '--snaplen', '--socket'],
    ]);
    expect(out).toContain(`{default=${fake.socket}}\n`);
    expect(out).toContain('value {arg=0}{value=both}');
  });

  it('captures to the fifo, and says nothing', async () => {
    const fake = await running();
    const fifo = join(fake.folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const read = readFile(fifo);
    const capturing = fake.ctl(
      ...['extcap', '--capture', '--extcap-interface', 'vswitchd-network-net1', '--fifo', fifo],
      ...['--extcap-capture-filter', 'tcp port 80', '--side', 'both', '--drops'],
      ...['--extcap-unheard-of', 'x', '--snaplen', '96'],
    );
    const it = await vi.waitFor(() => {
      const [it] = fake.host.datapath?.captured ?? [];
      if (it?.status.state !== 'running') throw new Error('not yet');
      return it;
    });
    expect(it.spec).toMatchObject({
      ...{ network: 'net1', side: 'both', dropsOnly: true, snaplen: 96, filter: 'tcp port 80' },
    });
    it.send(60);
    it.finish();
    expect(await capturing).toEqual({ code: 0, out: '', err: '' });
    expect([...pcapngBlocks(await read)].map((step) => step.ok)).toEqual(Array(4).fill(true));
  });

  it('ends the fifo also when it is refused, because Wireshark waits for that', async () => {
    const fake = await FakeDaemon.create();
    const fifo = join(fake.folder, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const read = readFile(fifo);
    const args = ['--capture', '--extcap-interface', 'vswitchd', '--fifo', fifo];
    expect(await fake.ctl('extcap', ...args)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^vswitchctl: no vswitchd answers/),
    });
    expect(await read).toHaveLength(0);
  });

  it('finds a good filter good, and leaves nothing that runs', async () => {
    const fake = await running();
    const about = ['--extcap-interface', 'vswitchd', '--extcap-capture-filter'];
    expect(await fake.ctl('extcap', ...about, 'arp')).toEqual({ code: 0, out: '', err: '' });
    expect(fake.host.datapath?.captures()).toEqual([]);
  });

  it.each([
    [[]],
    [['--extcap-dlts']],
    [['--extcap-interface', 'eth0', '--extcap-dlts']],
    [['--extcap-interface', 'vswitchd', '--capture']],
    [['--extcap-interface', 'vswitchd', '--capture', '--fifo', 'f', '--side', 'left']],
  ])('%j is bad usage: 2', async (args) => {
    const fake = await FakeDaemon.create();
    expect((await fake.ctl('extcap', ...args)).code).toBe(2);
  });
});

describe('extcap install', () => {
  it('puts a script there that runs us, once, and takes it away', async () => {
    const fake = await FakeDaemon.create();
    const dir = join(fake.folder, 'it is', 'extcap');
    const path = join(dir, 'vswitchd');
    const install = (...more: string[]) => fake.ctl('extcap', 'install', '--dir', dir, ...more);
    expect((await install()).out).toMatch(`installed ${path}; `);
    const script = await readFile(path, 'utf8');
    expect((await stat(path)).mode & 0o777).toBe(0o755);
    expect(script).toMatch(/^#!\/bin\/sh\n/);
    expect(script).toContain(`vswitchctl.js' --socket '${fake.socket}' extcap "$@"`);
    const config = execFileSync(path, ['--extcap-config', '--extcap-interface', 'vswitchd']);
    expect(
      (await fake.ctl('extcap', '--extcap-config', '--extcap-interface', 'vswitchd')).out,
    ).toBe(`${config}`);
    expect((await install()).out).toBe(`${path} is in place\n`);
    expect((await install('--remove')).out).toBe(`removed ${path}\n`);
    expect((await install('--remove')).out).toBe(`${path} is not there\n`);
  });

  it('names the socket so that it is found from any folder', async () => {
    const fake = await FakeDaemon.create();
    const socket = relative(process.cwd(), fake.socket);
    await fake.ctl('--socket', socket, 'extcap', 'install', '--dir', fake.folder);
    const script = await readFile(join(fake.folder, 'vswitchd'), 'utf8');
    expect(script).toContain(` --socket '${fake.socket}' extcap "$@"`);
  });

  it('takes no folder that is not called one', async () => {
    const fake = await FakeDaemon.create();
    const { code, err } = await fake.ctl('extcap', 'install', '--dir', fake.folder, 'elsewhere');
    expect([code, err]).toEqual([2, expect.stringContaining('too many arguments')]);
  });

  it('leaves what is not ours alone', async () => {
    const fake = await FakeDaemon.create();
    await writeFile(join(fake.folder, 'vswitchd'), '#!/bin/sh\necho mine\n');
    for (const more of [[], ['--remove']]) {
      const { code, err } = await fake.ctl('extcap', 'install', '--dir', fake.folder, ...more);
      expect([code, err]).toEqual([1, expect.stringContaining('is there and is not ours')]);
    }
    expect(await readFile(join(fake.folder, 'vswitchd'), 'utf8')).toContain('mine');
  });

  it('asks Wireshark where its folder is', async () => {
    const fake = await FakeDaemon.create();
    const bin = join(fake.folder, 'bin');
    await mkdir(bin);
    const lines = [
      ['Personal configuration:\t/x/config', join(fake.folder, 'home/.config/wireshark')],
      ['Personal Extcap path:\t', join(fake.folder, 'home/.local/lib/wireshark/extcap')],
    ];
    vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
    try {
      for (const folders of [lines.slice(0, 1), lines]) {
        const text = folders.map(([label, path]) => `${label?.split('\t')[0]}\t${path}`).join('\n');
        await writeFile(join(bin, 'tshark'), `#!/bin/sh\ncat <<END\n${text}\nEND\n`);
        await chmod(join(bin, 'tshark'), 0o755);
        const { path } = await fake.json<{ path: string }>('extcap', 'install');
        expect(path).toBe(
          folders.length === 1
            ? join(fake.folder, 'home/.config/wireshark/extcap/vswitchd')
            : join(fake.folder, 'home/.local/lib/wireshark/extcap/vswitchd'),
        );
      }
    } finally {
      vi.unstubAllEnvs();
    }
  });
});
