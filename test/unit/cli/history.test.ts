import { describe, expect, it, vi } from 'vitest';
import { parseMoment } from '../../../src/cli/moment.js';
import type { FdbView, HistoryView } from '../../../src/control/client.js';
import type { HistoryLine } from '../../../src/datapath/seam.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const A = '02:42:0a:00:00:01';
const B = '02:42:0a:00:00:02';
const C = '02:42:0a:00:00:03';
const NET1 = `networks:
  - name: net1
    vni: 300
    peers: [10.200.0.2]
    fdb: [{mac: "${B}", vtep: 10.200.0.2}]
    ports: [{name: c1, netns: c1, mac: "${A}", addresses: [10.0.0.1/24]}]
`;

/** 12:00:00 and so many seconds, UTC. */
const at = (seconds: number) => Date.UTC(2026, 10, 21, 12, 0, seconds);
const iso = (seconds: number) => new Date(at(seconds)).toISOString();

const lines: HistoryLine[] = [
  { seq: 7, at: at(1), kind: 'portUp', network: 'net1', port: 'c1' },
  { seq: 8, at: at(2), kind: 'learned', network: 'net1', mac: B, port: 'c1', origin: 'learned' },
  {
    seq: 9,
    at: at(3),
    kind: 'moved',
    network: 'net1',
    mac: B,
    port: '10.200.0.2:4789',
    from: 'c1',
  },
  {
    ...{ seq: 10, at: at(4), kind: 'set', network: 'net1', mac: B, port: '10.200.0.2:4789' },
    ...{ origin: 'static', from: '10.200.0.2:4789', fromOrigin: 'learned' },
  } as HistoryLine,
  { seq: 11, at: at(5), kind: 'answered', network: 'net1', mac: C, ip: '10.0.0.3', port: 'c1' },
  { seq: 12, at: at(6), kind: 'dropped', network: 'net1', port: 'c1', reason: 'rx.src_mac_zero' },
  { seq: 13, at: at(7), kind: 'aged', network: 'net1', mac: C, port: 'c1', origin: 'learned' },
  { seq: 14, at: at(8), kind: 'omitted', network: 'net1', port: 'c1', count: 40 },
  { seq: 15, at: at(9), kind: 'vtepSilent', port: '10.200.0.2:4789' },
];

async function running(): Promise<FakeDaemon> {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  const fake = await FakeDaemon.running(NET1, host);
  if (host.datapath !== undefined) host.datapath.past = { lines, completeSince: at(2) };
  return fake;
}

const kinds = async (fake: FakeDaemon, ...args: string[]) =>
  (await fake.json<HistoryView>('history', ...args)).lines.map(({ kind }) => kind);

describe('history', () => {
  it('prints time, kind and sentence, and from when on nothing is missing', async () => {
    vi.stubEnv('TZ', 'UTC');
    const fake = await running();
    const { code, out } = await fake.ctl('history');
    expect(code).toBe(0);
    expect(out).toBe(`2026-11-21 12:00:01.000  portUp      net1: Port c1 is attached.
2026-11-21 12:00:02.000  learned     net1: ${B} was heard for the first time: the FDB has it at port c1.
2026-11-21 12:00:03.000  moved       net1: ${B} moved from port c1 to VTEP 10.200.0.2:4789.
2026-11-21 12:00:04.000  set         net1: ${B} has a static entry at VTEP 10.200.0.2:4789; before, it was learned at VTEP 10.200.0.2:4789.
2026-11-21 12:00:05.000  answered    net1: A question for 10.0.0.3 at port c1 is answered here: it is at ${C}.
2026-11-21 12:00:06.000  dropped     net1: Frames are dropped at port c1: rx.src_mac_zero. The source MAC is all zero.
2026-11-21 12:00:07.000  aged        net1: ${C} at port c1 was silent for too long and is forgotten.
2026-11-21 12:00:08.000  omitted     net1: 40 more happenings at port c1 were too many to be kept.
2026-11-21 12:00:09.000  vtepSilent  VTEP 10.200.0.2:4789 is silent: no datagrams, no answers.
Complete from 2026-11-21 12:00:02.000 on; earlier lines may be missing.
`);
    vi.unstubAllEnvs();
  });

  it('of an address tells what happened to who has or had it', async () => {
    const fake = await running();
    expect(await kinds(fake, '--ip', '10.0.0.3')).toEqual(['answered', 'aged', 'omitted']);
    expect(await kinds(fake, '--ip', '10.0.0.9')).toEqual(['omitted']);
  });

  it('is chosen by station, port, network and time', async () => {
    const fake = await running();
    expect(await kinds(fake, '--mac', B)).toEqual(['learned', 'moved', 'set', 'omitted']);
    expect(await kinds(fake, 'net1', '--port', '10.200.0.2:4789')).toEqual(['moved', 'set']);
    expect(await kinds(fake, 'net2')).toEqual([]);
    expect(await kinds(fake, '--since', iso(7))).toEqual(['aged', 'omitted', 'vtepSilent']);
    const { out } = await fake.ctl('history', '--since', iso(7));
    expect(out).not.toContain('Complete from');
    expect((await fake.ctl('history', 'net2', '--since', iso(7))).out).toBe(
      'Nothing of that is remembered.\n',
    );
  });

  it('goes on from where it ended', async () => {
    const fake = await running();
    const { next } = await fake.json<HistoryView>('history');
    expect(next).toBe(16);
    const { operations } = fake.daemon;
    expect(operations.history({ from: 15 }).lines).toHaveLength(1);
    expect(operations.history({ from: 16 })).toMatchObject({ lines: [], next: 16 });
  });

  it.each([
    ['--mac', 'x'],
    ['--ip', 'x'],
    ['--since', 'yesterday'],
    ['--since', '25:00'],
  ])('%s %s is bad usage', async (...args) => {
    const fake = await running();
    expect(await fake.ctl('history', ...args)).toMatchObject({ code: 2, out: '' });
  });
});

describe('fdb show --at', () => {
  const then = async (fake: FakeDaemon, seconds: number) =>
    await fake.json<FdbView[]>('fdb', 'show', 'net1', '--at', iso(seconds));

  it('takes back what happened since', async () => {
    const fake = await running();
    const tunnel = { vtep: '10.200.0.2', udp_port: 4789, tunnel_vni: 300, local: false };
    expect(await then(fake, 9)).toMatchObject([{ mac: B, origin: 'static', ...tunnel }]);
    expect(await then(fake, 6)).toMatchObject([
      { mac: B, origin: 'static', ...tunnel },
      { mac: C, origin: 'learned', port: 'c1' },
    ]);
    expect((await then(fake, 3))[0]).toMatchObject({ mac: B, origin: 'learned', ...tunnel });
    expect((await then(fake, 2))[0]).toMatchObject({
      mac: B,
      origin: 'learned',
      port: 'c1',
      vni: 300,
    });
    const { out } = await fake.ctl('fdb', 'show', '--at', iso(2));
    expect(out).toMatch(/^MAC +NETWORK +VNI +ORIGIN +TO\n/);
    expect(out).toContain(`${B}  net1     300  learned  port c1\n`);
  });

  it('refuses a moment before the past is known', async () => {
    const fake = await running();
    expect(await fake.ctl('fdb', 'show', '--at', iso(1))).toMatchObject({
      code: 1,
      err: 'vswitchctl: cannot tell how the FDB was at 2026-11-21T12:00:01.000Z: the past is known from 2026-11-21T12:00:02.000Z on; ask for a later time\n',
    });
    expect((await fake.ctl('fdb', 'show', 'nope', '--at', iso(5))).err).toContain(
      'there is no network nope',
    );
  });
});

describe('a moment', () => {
  const now = new Date(2026, 10, 21, 12, 3, 7);

  it.each([
    ['5m', new Date(2026, 10, 21, 11, 58, 7)],
    ['2h', new Date(2026, 10, 21, 10, 3, 7)],
    ['12:03:07', now],
    ['12:03:08', new Date(2026, 10, 20, 12, 3, 8)],
    ['9:00', new Date(2026, 10, 21, 9, 0, 0)],
    ['11:59:59.5', new Date(2026, 10, 21, 11, 59, 59, 500)],
    ['2026-11-20 23:00', new Date(2026, 10, 20, 23)],
    ['2026-11-20T23:00:00Z', new Date(Date.UTC(2026, 10, 20, 23))],
  ])('%s', (text, moment) => {
    expect(parseMoment(text, now)).toEqual(moment);
  });

  it.each(['', 'now', '5', '5 m', '24:00', '12:60', '2026', '2026-13-01', '1y'])(
    '%j is none',
    (text) => {
      expect(parseMoment(text, now)).toBeUndefined();
    },
  );
});
