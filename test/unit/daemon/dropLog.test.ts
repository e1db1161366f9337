import { describe, expect, it, vi } from 'vitest';
import { DropDigest, type Told } from '../../../src/daemon/dropLog.js';
import type { Counters } from '../../../src/datapath/seam.js';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeDatapath, FakeHost } from '../../support/fakeDatapath.js';

/** Counters of one network with these ports, each with what it has dropped as `rx.src_mac_zero`. */
function counters(ports: Readonly<Record<string, number>>, outside = 0) {
  const empty = new FakeDatapath(new FakeHost()).counters();
  const network = {
    ...{ name: 'net1', vni: 300, unicast: 0, flooded: 0, replicated: 0, consumed: 0, generated: 0 },
    ...{ macs: 0, learned: 0, moved: 0, aged: 0, evicted: 0, full: 0 },
    ...{ rsvdIgnored: 0, ecnOdd: 0, ecnNonip: 0, drops: [] },
    retired: { rxFrames: 0, txFrames: 0, drops: [], notes: [] },
    ports: Object.entries(ports).map(([name, frames]) => ({
      ...{ name, kind: 'tap', state: 'up', macs: 0, unreachable: 0, notes: [] },
      ...{ rxFrames: frames, rxBytes: 0, txFrames: 0, txBytes: 0 },
      drops: [{ reason: 'rx.src_mac_zero', frames }],
    })),
  };
  const drops = [{ reason: 'rx.vni_unknown', frames: outside }];
  const all = { ...empty, networks: [network], underlay: { ...empty.underlay, drops } };
  return all as Counters;
}

const plain = ({ lines }: Told) =>
  lines.map(({ port, reason, frames }) => `${port || '-'} ${reason} ${frames}`);

describe('drops in the log', () => {
  it('are told when they begin, and then every ten seconds with what came since', () => {
    const digest = new DropDigest();
    const at = (seconds: number, frames: number) =>
      plain(digest.take(counters({ c1: frames }), seconds * 1000));
    expect(at(0, 0)).toEqual([]);
    expect(at(1, 3)).toEqual(['c1 rx.src_mac_zero 3']);
    expect(at(2, 5)).toEqual([]);
    expect(at(10.9, 9)).toEqual([]);
    expect(at(11, 9)).toEqual(['c1 rx.src_mac_zero 6']);
    expect(at(30, 9)).toEqual([]);
    expect(at(31, 10)).toEqual(['c1 rx.src_mac_zero 1']);
  });

  it('are told by place and reason', () => {
    const digest = new DropDigest();
    expect(plain(digest.take(counters({ c1: 1, c2: 2 }, 7), 0))).toEqual([
      '- rx.vni_unknown 7',
      'c2 rx.src_mac_zero 2',
      'c1 rx.src_mac_zero 1',
    ]);
    expect(plain(digest.take(counters({ c1: 1, c2: 2, c3: 1 }, 8), 500))).toEqual([
      'c3 rx.src_mac_zero 1',
    ]);
  });

  it('begin anew at a port that was removed and added again', () => {
    const digest = new DropDigest();
    digest.take(counters({ c1: 100 }), 0);
    expect(plain(digest.take(counters({ c1: 2 }), 20_000))).toEqual(['c1 rx.src_mac_zero 2']);
    digest.take(counters({}), 21_000);
    expect(plain(digest.take(counters({ c1: 5 }), 22_000))).toEqual(['c1 rx.src_mac_zero 5']);
  });

  it('are at most ten lines at once, the largest first, and nothing is lost', () => {
    const digest = new DropDigest();
    const ports = Object.fromEntries(Array.from({ length: 25 }, (_, at) => [`c${at}`, at + 1]));
    const first = digest.take(counters(ports), 0);
    expect([first.lines.length, first.waiting]).toEqual([10, 15]);
    expect(plain(first)[0]).toBe('c24 rx.src_mac_zero 25');
    const second = digest.take(counters(ports), 1000);
    const third = digest.take(counters(ports), 2000);
    expect([second.lines.length, third.lines.length, third.waiting]).toEqual([10, 5, 0]);
    const told = [first, second, third].flatMap(({ lines }) => lines.map(({ frames }) => frames));
    expect(told.reduce((sum, frames) => sum + frames, 0)).toBe((25 * 26) / 2);
  });

  it('have the names and sentences that stand everywhere', async () => {
    const host = new FakeHost();
    host.namespaces.set('/run/netns/c1', 'c1');
    const fake = await FakeDaemon.running(
      'networks: [{name: net1, vni: 300, ports: [{name: c1, netns: c1}]}]\n',
      host,
    );
    const datapath = host.datapath!;
    const quiet = datapath.counters.bind(datapath);
    datapath.counters = () => {
      const all = quiet();
      all.underlay.drops.push({ reason: 'rx.vni_unknown', frames: 2 });
      all.networks[0]!.ports[0]!.drops.push({ reason: 'rx.src_mac_zero', frames: 5 });
      return all;
    };
    const dropped = () => fake.log.filter(({ msg }) => /^dropped/.test(String(msg)));
    await vi.waitUntil(() => dropped().length > 0, { timeout: 5_000 });
    expect(dropped()).toMatchObject([
      {
        ...{ level: 30, msg: 'dropped: The source MAC is all zero.', reason: 'rx.src_mac_zero' },
        ...{ frames: 5, place: 'port', network: 'net1', port: 'c1' },
      },
      {
        ...{ level: 40, msg: 'dropped: No network here has this VNI.', reason: 'rx.vni_unknown' },
        ...{ frames: 2, place: 'underlay' },
      },
    ]);
  });
});
