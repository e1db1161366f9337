import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { pictureOf, type Size } from '../../../../src/cli/top/picture.js';
import { ratesOf } from '../../../../src/cli/top/rates.js';
import type { ViewState } from '../../../../src/cli/top/viewState.js';
import type { CountersView, StatusView } from '../../../../src/control/client.js';

const status = (more: Partial<StatusView> = {}): StatusView => ({
  ...{ version: '0.1.0', pid: 1, state: 'ok', started_at: '2026-11-21T08:00:00.000Z' },
  ...{
    socket: '/run/vswitchd/control.sock',
    underlay_mtu: 1500,
    workers: 1,
    networks: 2,
    peers: 1,
  },
  vtep: { address: '10.200.0.1', port: 4789 },
  store: {
    ...{ name: 'local', state: 'connected', since: '2026-11-21T08:00:00.000Z' },
    ...{ garbage: 0, conflicts: [] },
  },
  ports: { up: 2, waiting: 0, gone: 0 },
  warnings: [],
  ...more,
});

type Port = CountersView['networks'][number]['ports'][number];
type Drop = Port['drops'][number];

const port = (name: string, more: Partial<Port> = {}): Port => ({
  ...{ name, kind: 'tap', state: 'up', rx_frames: 0, rx_bytes: 0, tx_frames: 0, tx_bytes: 0 },
  ...{ macs: 1, unreachable: 0, drops: [], notes: [] },
  ...more,
});

const drop = (reason: string, frames: number): Drop => ({
  ...{ reason, frames, stage: 'ingress', sentence: `Why ${reason} is.` },
});

const network = (name: string, vni: number, ports: Port[]): CountersView['networks'][number] => ({
  ...{ name, vni, ports, unicast: 0, flooded: 0, replicated: 0, generated: 0, consumed: 0 },
  retired: { rx_frames: 0, tx_frames: 0, drops: [], notes: [] },
  ...{ drops: [], fdb: { macs: 0, learned: 0, moved: 0, aged: 0, evicted: 0, full: 0 } },
  ...{ reserved_bits_ignored: 0, ecn: { odd: 0, nonip: 0 } },
  balance: {
    ...{ in: 0, out: 0, consumed: 0, ingress_drops: 0, egress_drops: 0 },
    ...{ ingress_missing: 0, egress_missing: 0 },
  },
});

/** So many seconds after 12:00:00. */
function counters(
  seconds: number,
  busy_us: number,
  networks: CountersView['networks'],
): CountersView {
  return {
    at: new Date(Date.UTC(2026, 10, 21, 12, 0, seconds)).toISOString(),
    started_at: '2026-11-21T08:00:00.000Z',
    workers: [{ turns: 0, sleeps: 0, busy_us, rx_frames: 0, tx_frames: 0, drops: [] }],
    underlay: {
      ...{ datagrams: 0, retired: 0, drops: [drop('rx.vni_unknown', 7)], notes: [] },
      ...{ source_ports: [], receive_buffer: 0, path: 'udp', missing: 0 },
    },
    networks,
    vteps: [
      {
        address: '10.200.0.2',
        state: 'alive',
        asked: 4,
        answered: 4,
        rtt_us: 400,
        mean_rtt_us: 340,
      },
    ],
    balanced: true,
  };
}

const earlier = counters(0, 1_000_000, [
  network('net1', 256, [
    port('c1', { rx_bytes: 1000, rx_frames: 10, tx_bytes: 500, tx_frames: 5 }),
    port('10.200.0.2:4789', { kind: 'tunnel', path_mtu: 1500 }),
  ]),
  network('net2', 257, [port('web', { drops: [drop('rx.spoof_mac', 1)] })]),
]);
const later = counters(2, 1_740_000, [
  network('net1', 256, [
    port('c1', { rx_bytes: 251_000, rx_frames: 210, tx_bytes: 500, tx_frames: 5 }),
    port('10.200.0.2:4789', {
      ...{ kind: 'tunnel', path_mtu: 1500, tx_bytes: 250_000, tx_frames: 200, macs: 3 },
    }),
  ]),
  network('net2', 257, [port('web', { drops: [drop('rx.spoof_mac', 5)] })]),
]);

const plainly: ViewState = { sort: 'in', paused: false };

function drawn(size: Size, state = plainly, more: Partial<StatusView> = {}): string[] {
  const rates = ratesOf(earlier, later);
  const reading = { status: status(more), counters: later, rates };
  return pictureOf(reading, state, size, { colors: false });
}

describe('the screen', () => {
  it('of 80 columns and 24 rows', () => {
    expect(drawn({ columns: 80, rows: 24 })).toEqual([
      'vswitchd 10.200.0.1  ok  up 4h00m  worker 37%  balanced  store local connected',
      'ports: in 1.00M out 0   tunnels: in 0 out 1.00M bit/s   dropped: 2/s',
      '',
      'PORT                     NETWORK IN b/s  fr/s OUT b/s  fr/s drop/s  MACS STATE',
      'c1                       net1     1.00M   100       0     0      0     1 up',
      'web                      net2         0     0       0     0      2     1 up',
      '',
      'TUNNEL            NETWORK IN b/s  fr/s OUT b/s  fr/s drop/s   MTU    RTT STATE',
      '10.200.0.2:4789   net1         0     0   1.00M   100      0  1500  340us alive',
      '',
      'DROPPED           /s FRAMES  WHY',
      'rx.spoof_mac       2      5  net2: Why rx.spoof_mac is.',
      'rx.vni_unknown     0      7  underlay: Why rx.vni_unknown is.',
      ...Array.from({ length: 10 }, () => ''),
      ' q quit   p pause   s sort: in   n network: all',
    ]);
  });

  it.each([
    { columns: 80, rows: 24 },
    { columns: 40, rows: 10 },
    { columns: 200, rows: 60 },
    { columns: 20, rows: 3 },
    { columns: 10, rows: 1 },
    { columns: 1, rows: 1 },
  ])('is never larger than $columns by $rows', (size) => {
    const lines = drawn(size, plainly, { warnings: ['a'.repeat(300), 'b'] });
    expect(lines).toHaveLength(size.rows);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(size.columns);
  });

  it('says how many do not fit, and shares the room', () => {
    const many = Array.from({ length: 40 }, (_, i) => port(`c${i}`));
    const full = counters(0, 0, [network('net1', 256, many)]);
    const reading = { status: status(), counters: full, rates: ratesOf(undefined, full) };
    const lines = pictureOf(reading, plainly, { columns: 80, rows: 14 }, { colors: false });
    expect(lines.join('\n')).toMatch(/\.\.\. \d+ more\n\nDROPPED/);
    expect(lines.join('\n')).toContain('c0                       net1         -     -');
  });

  it('has only the network that was chosen', () => {
    const text = drawn({ columns: 80, rows: 24 }, { ...plainly, network: 'net2' }).join('\n');
    expect(text).toMatch(/^web /m);
    expect(text).toMatch(/^rx\.spoof_mac /m);
    expect(text).not.toMatch(/^(c1|10\.200|rx\.vni)/m);
    expect(text).toContain('n network: net2');
  });

  it.each([
    ['in', ['c1', 'web']],
    ['drops', ['web', 'c1']],
    ['name', ['c1', 'web']],
  ] as const)('is sorted by %s', (sort, names) => {
    const lines = drawn({ columns: 80, rows: 24 }, { ...plainly, sort });
    expect(lines.slice(4, 6).map((line) => line.split(' ')[0])).toEqual(names);
  });

  it('shows what is amiss', () => {
    const warnings = ['the store etcd is out of reach', 'port c9: its namespace does not exist'];
    const reading = {
      status: status({ state: 'degraded', warnings }),
      counters: { ...later, balanced: false },
      rates: ratesOf(earlier, later),
      trouble: 'no vswitchd answers on /run/x: it does not run',
    };
    const lines = pictureOf(
      reading,
      { ...plainly, paused: true },
      { columns: 100, rows: 24 },
      { colors: false },
    );
    const [first, , third, fourth] = lines;
    expect(first).toContain('degraded');
    expect(first).toContain('NOT BALANCED');
    expect(lines.at(-1)).toContain('p go on (PAUSED)');
    expect(third).toBe('no vswitchd answers on /run/x: it does not run');
    expect(fourth).toBe('warning (and 1 more): the store etcd is out of reach');
  });

  it('lets no name command the terminal', () => {
    const warnings = ['\u001b[2Jgone\u009b31m'];
    expect(drawn({ columns: 80, rows: 24 }, plainly, { warnings })[2]).toBe(
      'warning: ?[2Jgone?31m',
    );
  });

  it('in colours says the same', () => {
    const rates = ratesOf(earlier, later);
    const reading = { status: status(), counters: later, rates };
    const size = { columns: 80, rows: 24 };
    const coloured = pictureOf(reading, plainly, size, { colors: true });
    expect(coloured.join('\n')).toContain('\u001b[');
    expect(coloured.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(drawn(size));
  });
});

describe('rates', () => {
  it('are by the clock of the counters', () => {
    expect(ratesOf(earlier, later)).toMatchObject({
      loads: [0.37],
      places: [
        { name: 'c1', inBits: 1_000_000, inFrames: 100, outBits: 0, outFrames: 0, drops: 0 },
        { name: '10.200.0.2:4789', kind: 'tunnel', outFrames: 100, state: 'alive', rttUs: 340 },
        { name: 'web', drops: 2 },
      ],
    });
  });

  it('are unknown at first, after a restart, of what is new, and of what went back', () => {
    const unknown = {
      loads: [undefined],
      places: [{ inBits: undefined }, {}, { drops: undefined }],
    };
    expect(ratesOf(undefined, later)).toMatchObject(unknown);
    expect(ratesOf({ ...earlier, started_at: '2026-11-21T07:00:00.000Z' }, later)).toMatchObject(
      unknown,
    );
    expect(ratesOf({ ...earlier, networks: [] }, later).places[0]?.inBits).toBeUndefined();
    expect(ratesOf(later, { ...earlier, at: '2026-11-21T12:00:09.000Z' }).places[0]).toMatchObject({
      ...{ inBits: undefined, outBits: 0 },
    });
    expect(ratesOf(later, later).places[0]?.inBits).toBeUndefined();
  });

  it('of a reason that was never counted begin at nought', () => {
    const none = { ...earlier, underlay: { ...earlier.underlay, drops: [] } };
    const drops = ratesOf(none, later).drops.filter(({ network }) => network === undefined);
    expect(drops).toMatchObject([{ reason: 'rx.vni_unknown', frames: 7, rate: 3.5 }]);
  });
});
