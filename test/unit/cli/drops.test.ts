import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { runControl } from '../../../src/cli/main.js';
import type { Counters } from '../../../src/datapath/seam.js';
import { eventually } from '../../support/eventually.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const NETWORKS = `networks:
  - {name: net1, vni: 300, peers: [10.200.0.2], ports: [{name: c1, netns: c1}]}
  - {name: net2, vni: 301, peers: [10.200.0.2, 10.200.0.3]}
`;

/** A daemon whose datapath has dropped at every place there is. */
async function dropping(): Promise<FakeDaemon> {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  const fake = await FakeDaemon.running(NETWORKS, host);
  const zero = (frames: number) => ({ reason: 'rx.src_mac_zero', frames });
  const gone = (frames: number) => ({ reason: 'tx.port_gone', frames });
  count(fake, ({ underlay, networks, workers }) => {
    underlay.drops = [{ reason: 'rx.vni_unknown', frames: 1 }];
    const [net1, net2] = networks;
    net1!.drops = [{ reason: 'rx.vni_unknown', frames: 2 }];
    net1!.retired.drops = [zero(4)];
    net1!.ports[0]!.drops = [zero(8)];
    net1!.ports[1]!.drops = [zero(16), gone(32)];
    net2!.ports[0]!.drops = [gone(64)];
    net2!.ports[1]!.drops = [gone(128)];
    workers[0]!.drops = [gone(224)];
  });
  return fake;
}

function count(fake: FakeDaemon, change: (counters: Counters) => void): void {
  const datapath = fake.host.datapath!;
  const counters = datapath.counters.bind(datapath);
  datapath.counters = () => {
    const all = counters();
    change(all);
    return all;
  };
}

describe('drops', () => {
  it('are those of the host, by reason, each with its sentence', async () => {
    const { out } = await (await dropping()).ctl('drops');
    expect(out).toBe(
      [
        'REASON           STAGE     FRAMES  WHY',
        'rx.vni_unknown   underlay       3  No network here has this VNI.',
        'rx.src_mac_zero  ingress       28  The source MAC is all zero.',
        'tx.port_gone     egress       224  The port has disappeared.',
        '',
      ].join('\n'),
    );
  });

  it.each([
    [
      ['--by', 'port'],
      [
        '-        -                rx.vni_unknown   underlay       1',
        'net1     -                rx.vni_unknown   underlay       2',
        'net1     c1               rx.src_mac_zero  ingress        8',
        'net1     10.200.0.2:4789  rx.src_mac_zero  ingress       16',
        'net1     10.200.0.2:4789  tx.port_gone     egress        32',
        'net1     removed          rx.src_mac_zero  ingress        4',
        'net2     10.200.0.2:4789  tx.port_gone     egress        64',
        'net2     10.200.0.3:4789  tx.port_gone     egress       128',
      ],
    ],
    [
      ['--by', 'network'],
      [
        '-        rx.vni_unknown   underlay       1',
        'net1     rx.vni_unknown   underlay       2',
        'net1     rx.src_mac_zero  ingress       28',
        'net1     tx.port_gone     egress        32',
        'net2     tx.port_gone     egress       192',
      ],
    ],
    [
      ['--by', 'vtep'],
      [
        '10.200.0.2  rx.src_mac_zero  ingress      16',
        '10.200.0.2  tx.port_gone     egress       96',
        '10.200.0.3  tx.port_gone     egress      128',
      ],
    ],
    [['--by', 'worker'], ['     0  tx.port_gone  egress     224']],
    [['net2'], ['tx.port_gone  egress     192']],
    [
      ['net1', '--by', 'vtep'],
      [
        '10.200.0.2  rx.src_mac_zero  ingress      16',
        '10.200.0.2  tx.port_gone     egress       32',
      ],
    ],
  ])('%j say where', async (args, expected) => {
    const { code, out } = await (await dropping()).ctl('drops', ...args);
    expect(code).toBe(0);
    const rows = out.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => row.replace(/ +[A-Z][^.]*\.$/, ''))).toEqual(expected);
  });

  it('are the same with --json, with the fields of their order', async () => {
    const fake = await dropping();
    expect(await fake.json('drops', '--by', 'vtep', 'net2')).toEqual([
      {
        ...{ vtep: '10.200.0.2', reason: 'tx.port_gone', frames: 64 },
        ...{ stage: 'egress', sentence: 'The port has disappeared.' },
      },
      {
        ...{ vtep: '10.200.0.3', reason: 'tx.port_gone', frames: 128 },
        ...{ stage: 'egress', sentence: 'The port has disappeared.' },
      },
    ]);
  });

  it.each([
    [['none'], 1, 'there is no network none'],
    [['none', '--by', 'port'], 1, 'there is no network none'],
    [['net1', '--by', 'worker'], 2, 'workers do not count by network'],
    [['net1', '--all'], 2, '--all is about the whole host'],
    [['--by', 'colour'], 2, 'network, port, vtep, worker'],
  ])('%j are refused', async (args, status, sentence) => {
    const { code, err } = await (await dropping()).ctl('drops', ...args);
    expect([code, err]).toEqual([status, expect.stringContaining(sentence)]);
  });

  it('are watched with what comes every second', async () => {
    const fake = await dropping();
    let more = 0;
    count(fake, ({ networks }) => {
      // Surely more between two looks.
      more += 1_000_000;
      networks[0]!.ports[0]!.drops = [{ reason: 'rx.src_mac_zero', frames: more }];
    });
    const interrupt = new AbortController();
    let out = '';
    const code = runControl(['--socket', fake.socket, 'drops', 'net1', '--by', 'port', '--watch'], {
      out: (text) => {
        out += text;
      },
      err: () => {},
      stdout: new PassThrough(),
      signal: interrupt.signal,
    });
    await eventually('two pictures', () => out.split('\u001b[H\u001b[J').length > 2);
    interrupt.abort();
    expect(await code).toBe(130);
    const [, first = '', second = ''] = out.split('\u001b[H\u001b[J');
    expect(first).toMatch(/FRAMES +PER SECOND +WHY/);
    expect(first).toMatch(/c1 +rx\.src_mac_zero +ingress +\d+ +- /);
    expect(second).toMatch(/c1 +rx\.src_mac_zero +ingress +\d+ +[1-9]\d* /);
    expect(second).toMatch(/removed +rx\.src_mac_zero +ingress +4 +0 /);
  });
});

describe('stats', () => {
  it('add up each VTEP over all networks, and tell of every worker', async () => {
    const fake = await dropping();
    count(fake, ({ networks, workers, vteps }) => {
      for (const network of networks) {
        for (const port of network.ports.filter(({ kind }) => kind === 'tunnel')) {
          Object.assign(port, { rxFrames: 1, rxBytes: 60, txFrames: 2, txBytes: 120 });
        }
      }
      vteps.push({
        ...{ remote: '10.200.0.2', asked: 3, answered: 3, state: 'alive' },
        ...{ rttUs: 400, meanRttUs: 28.984 },
      });
      Object.assign(workers[0]!, { busyUs: 1_500_000, turns: 7, sleeps: 3, rxFrames: 9 });
    });
    const { out } = await fake.ctl('stats');
    expect(out).toContain(
      [
        'VTEPs, over all networks',
        '  VTEP        STATE  ROUND TRIP  IN  IN BYTES  OUT  OUT BYTES  DROPS',
        '  10.200.0.2  alive  29us         2       120    4        240    112',
        '  10.200.0.3  -      -            1        60    2        120    128',
      ].join('\n'),
    );
    expect(out).toContain(
      [
        'workers',
        '  WORKER  BUSY   TURNS  SLEEPS  IN  OUT  DROPS',
        '       0  1.5 s      7       3   9    0    224',
      ].join('\n'),
    );
  });
});
