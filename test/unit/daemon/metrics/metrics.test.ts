import { readFile } from 'node:fs/promises';
import { Client } from 'undici';
import { describe, expect, it, onTestFinished } from 'vitest';
import { METRICS } from '../../../../src/daemon/metrics/table.js';
import type { Counters } from '../../../../src/datapath/seam.js';
import { FakeDaemon } from '../../../support/fakeDaemon.js';
import { DROP_REASONS, type FakeDatapath, FakeHost } from '../../../support/fakeDatapath.js';
import { parseMetrics, seriesValue } from '../../../support/prometheus.js';

const NET1 = `networks:
  - name: net1
    vni: 300
    peers: [10.200.0.2, {address: 10.200.0.2, vni: 301}, "10.200.0.3:4790"]
    fdb: [{mac: "02:00:00:00:00:05", vtep: 10.200.0.2}]
    ports: [{name: c1, netns: c1}, {name: c2, netns: c2}]
`;

async function running(networks = NET1): Promise<FakeDaemon> {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  return FakeDaemon.running(networks, host);
}

/** What the datapath counts from now on. */
function count(fake: FakeDaemon, change: (counters: Counters) => void): void {
  const datapath = fake.host.datapath as FakeDatapath;
  const counters = datapath.counters.bind(datapath);
  datapath.counters = () => {
    const all = counters();
    change(all);
    return all;
  };
}

const scrape = async (fake: FakeDaemon) => parseMetrics(await fake.daemon.operations.metrics());

describe('the metrics', () => {
  it('are every one of the table, well-formed and named by the conventions', async () => {
    const families = await scrape(await running());
    expect(families.map(({ name, type, help }) => ({ name, type, help }))).toEqual(
      METRICS.map(({ name, type, help }) => ({ name, type, help })),
    );
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
  });

  it('have exactly the labels of the table', async () => {
    const fake = await running();
    count(fake, (counters) => {
      const drops = [{ reason: 'rx.src_mac_zero', frames: 1 }];
      const notes = [{ note: 'icmp.ptb_sent', times: 1, sentence: 'Sent.' }];
      const vtep = { remote: '10.200.0.2', heardAt: 1, asked: 2, answered: 1, state: 'alive' };
      counters.vteps.push({ ...vtep, rttUs: 1, meanRttUs: 1 } as Counters['vteps'][number]);
      counters.workers[0]!.drops.push(...drops);
      for (const port of counters.networks[0]!.ports) {
        port.drops.push(...drops);
        port.notes.push(...notes);
        if (port.kind === 'tunnel') port.pathMtu = 1500;
      }
    });
    fake.host.datapath!.captures = () => [
      { id: 1, state: 'running', compiler: 'none', packets: 5, lost: 2, bytes: 9 },
    ];
    // The second has the event loop's lag.
    await scrape(fake);
    await expect
      .poll(async () =>
        seriesValue(await scrape(fake), 'vswitchd_eventloop_lag_seconds', { statistic: 'max' }),
      )
      .toBeGreaterThanOrEqual(0);
    const families = await scrape(fake);
    for (const { name, labels } of METRICS) {
      const { series } = families.find((family) => family.name === name)!;
      if (name !== 'vswitchd_eventloop_lag_seconds')
        expect([name, series.length]).not.toEqual([name, 0]);
      for (const sample of series) {
        expect([name, Object.keys(sample.labels).sort()]).toEqual([name, [...labels].sort()]);
        expect(Number.isFinite(sample.value)).toBe(true);
      }
    }
  });

  it('have every drop reason from the start, and say where frames were dropped', async () => {
    const fake = await running();
    const before = await scrape(fake);
    for (const { name: reason, stage } of DROP_REASONS) {
      expect(seriesValue(before, 'vswitchd_dropped_frames_total', { reason, stage })).toBe(0);
    }
    count(fake, ({ networks, underlay }) => {
      networks[0]!.ports[0]!.drops.push({ reason: 'rx.src_mac_zero', frames: 3 });
      networks[0]!.ports[1]!.drops.push({ reason: 'rx.src_mac_zero', frames: 4 });
      networks[0]!.retired.drops.push({ reason: 'rx.src_mac_zero', frames: 5 });
      underlay.drops.push({ reason: 'rx.vni_unknown', frames: 6 });
    });
    const after = await scrape(fake);
    const at = (place: string, network: string, port: string, reason: string) =>
      seriesValue(after, 'vswitchd_drops_total', { place, network, port, reason });
    expect(at('port', 'net1', 'c1', 'rx.src_mac_zero')).toBe(3);
    expect(at('tunnel', 'net1', '10.200.0.2:4789', 'rx.src_mac_zero')).toBe(4);
    expect(at('underlay', '', '', 'rx.vni_unknown')).toBe(6);
    const sum = (reason: string) => seriesValue(after, 'vswitchd_dropped_frames_total', { reason });
    expect([sum('rx.src_mac_zero'), sum('rx.vni_unknown'), sum('tx.port_gone')]).toEqual([
      12, 6, 0,
    ]);
  });

  it('take tunnels of a network to one VTEP together, whatever their ports and VNIs', async () => {
    const fake = await running();
    count(fake, ({ networks }) => {
      networks[0]!.ports
        .filter(({ kind }) => kind === 'tunnel')
        .forEach((tunnel, at) => {
          tunnel.rxFrames = 10 ** at;
          tunnel.pathMtu = 1500 - at;
        });
      networks[0]!.ports[0]!.txBytes = 77;
    });
    const families = await scrape(fake);
    const frames = families.find(({ name }) => name === 'vswitchd_tunnel_receive_frames_total')!;
    expect(Object.fromEntries(frames.series.map((s) => [s.labels.vtep, s.value]))).toEqual({
      '10.200.0.2': 11,
      '10.200.0.3': 100,
    });
    expect(seriesValue(families, 'vswitchd_tunnel_path_mtu_bytes', { vtep: '10.200.0.2' })).toBe(
      1499,
    );
    expect(seriesValue(families, 'vswitchd_port_transmit_bytes_total', { port: 'c1' })).toBe(77);
    expect(seriesValue(families, 'vswitchd_port_up', { port: 'c2' })).toBe(0);
    expect(seriesValue(families, 'vswitchd_fdb_entries', { origin: 'static' })).toBe(1);
    // A network's sums are over all that enters it, a port's are its own.
    expect(seriesValue(families, 'vswitchd_network_receive_frames_total')).toBe(111);
  });

  it('never go back for a network that is removed', async () => {
    const fake = await running('networks: []\n');
    const { operations } = fake.daemon;
    const add = async () => {
      await fake.ctl('network', 'add', 'net2', '--vni', '400');
      await fake.ctl('port', 'add', 'net2', '--netns', 'c1');
    };
    await add();
    count(fake, ({ networks }) => {
      for (const network of networks) network.drops.push({ reason: 'rx.vni_unknown', frames: 9 });
    });
    const reason = { reason: 'rx.vni_unknown' };
    const drops = async () =>
      seriesValue(await scrape(fake), 'vswitchd_dropped_frames_total', reason);
    expect(await drops()).toBe(9);
    await operations.removeNetwork('net2');
    expect(await drops()).toBe(9);
    await add();
    expect(await drops()).toBe(18);
    expect(operations.drops().find((drop) => drop.reason === 'rx.vni_unknown')?.frames).toBe(18);
  });
});

describe('a scrape', () => {
  it('is answered on the control socket', async () => {
    const fake = await running();
    const client = new Client('http://vswitchd', { socketPath: fake.socket });
    onTestFinished(() => client.destroy());
    const { headers, body } = await client.request({ method: 'GET', path: '/metrics' });
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(seriesValue(parseMetrics(await body.text()), 'vswitchd_balanced')).toBe(1);
  });

  it('is answered on TCP where the file says so, and nothing else is', async () => {
    const fake = await running('metrics: {listen: "127.0.0.1:0"}\n');
    const url = fake.daemon.metrics ?? '';
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    expect(fake.log.at(-1)).toMatchObject({ msg: 'ready', metrics: url });
    const answer = await fetch(url);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4;/);
    parseMetrics(await answer.text());
    expect((await fetch(new URL('/v1/status', url))).status).toBe(404);
    expect((await fetch(url, { headers: { 'sec-fetch-site': 'cross-site' } })).status).toBe(403);
    await fake.stop();
    await expect(fetch(url)).rejects.toThrow();
  });

  it.each(['0.0.0.0:4781', '10.200.0.1:4781', '[::]:4781', 'localhost:4781', '127.0.0.1'])(
    'on %s is refused in one sentence',
    async (listen) => {
      const fake = await FakeDaemon.create();
      await fake.configure(`metrics: {listen: "${listen}"}\n`);
      await expect(fake.start()).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(
          /metrics\.listen \(line 2\): .* is refused; allowed: a loopback address .*proxy/,
        ),
      });
    },
  );
});

describe('packaging/metrics.md', () => {
  it('lists every metric, as the table has it', async () => {
    const rows = METRICS.map(
      ({ name, type, labels, help }) =>
        `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help.replaceAll('|', '\\|')} |`,
    );
    const text = await readFile(
      new URL('../../../../packaging/metrics.md', import.meta.url),
      'utf8',
    );
    expect(text.split('\n').filter((line) => /^\| `(vswitchd|process|nodejs)_/.test(line))).toEqual(
      rows,
    );
  });
});
