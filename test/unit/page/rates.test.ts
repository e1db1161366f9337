import { describe, expect, it } from 'vitest';
import { DropTimeline, dropKey, portKey, RateBook } from '../../../src/page/static/rates.js';

const START = Date.parse('2026-11-21T09:00:00Z');

/** An answer of `/v1/counters` with one port `c1` of network `net`, and what the underlay dropped. */
function answer(seconds: number, rx_bytes: number, dropped = 0, since = 0) {
  const none = { rx_frames: 0, tx_frames: 0, tx_bytes: 0 };
  return {
    at: new Date(START + seconds * 1000).toISOString(),
    started_at: new Date(START + since * 1000).toISOString(),
    workers: [],
    underlay: { drops: dropped === 0 ? [] : [{ reason: 'rx.short', frames: dropped }] },
    networks: [
      {
        ...{ name: 'net', drops: [], retired: { drops: [] } },
        ports: [{ ...none, name: 'c1', rx_bytes, drops: [] }],
      },
    ],
  };
}

const C1 = portKey('net', 'c1');

describe('rates', () => {
  it('are not known before the second answer', () => {
    const book = new RateBook();
    expect(book.take(answer(0, 500))).toBe(true);
    expect(book.of(C1)).toBeUndefined();
    expect(book.dropRates()).toBeUndefined();
    book.take(answer(1, 1500));
    expect(book.of(C1).rx_bytes).toBe(1000);
  });

  it('are differences by the clock of the answers, whenever they come', () => {
    const book = new RateBook();
    for (const [at, bytes] of [
      [0, 0],
      [0.5, 500],
      [4.5, 4500],
    ] as const)
      book.take(answer(at, bytes));
    expect(book.of(C1).rx_bytes).toBeCloseTo(1000);
    // An answer that comes twice, or too late, says nothing.
    expect(book.take(answer(4.5, 9999))).toBe(false);
    expect(book.take(answer(3, 3000))).toBe(false);
    expect(book.of(C1).rx_bytes).toBeCloseTo(1000);
  });

  it('follow a step in some seconds, and a long silence at once', () => {
    const book = new RateBook();
    for (let at = 0; at <= 10; at += 1) book.take(answer(at, 0));
    book.take(answer(11, 1000));
    const first = book.of(C1).rx_bytes;
    expect(first).toBeGreaterThan(100);
    expect(first).toBeLessThan(500);
    for (let at = 12; at <= 30; at += 1) book.take(answer(at, (at - 10) * 1000));
    expect(book.of(C1).rx_bytes).toBeGreaterThan(990);
    book.take(answer(630, 20_000));
    expect(book.of(C1).rx_bytes).toBeLessThan(1);
  });

  it('begin anew with the daemon, and with a port that was made anew', () => {
    const book = new RateBook();
    book.take(answer(0, 1_000_000));
    book.take(answer(1, 1_001_000));
    book.take(answer(2, 300));
    // It counts from zero, not to below zero.
    expect(book.of(C1).rx_bytes).toBeGreaterThan(0);
    expect(book.of(C1).rx_bytes).toBeLessThan(1000);
    book.take(answer(3, 50, 0, 3));
    expect(book.of(C1)).toBeUndefined();
    expect(book.past(C1)).toEqual([]);
  });

  it('count the first drops of a reason, which was not listed before', () => {
    const book = new RateBook();
    book.take(answer(0, 0));
    book.take(answer(1, 0, 30));
    expect(book.of(dropKey('rx.short')).frames).toBe(30);
    expect(book.dropRates()).toEqual(new Map([['rx.short', 30]]));
  });

  it('of the last minute and a half are kept, and no more', () => {
    const book = new RateBook();
    for (let at = 0; at <= 200; at += 1) book.take(answer(at, at));
    expect(book.past(C1)).toHaveLength(90);
  });
});

describe('the timeline of drops', () => {
  it('gives each reason a row as long as the clock, from zero before it first happened', () => {
    const timeline = new DropTimeline(3);
    timeline.add(1, new Map());
    timeline.add(2, new Map([['a', 5]]));
    timeline.add(3, new Map([['b', 7]]));
    expect(timeline.times).toEqual([1, 2, 3]);
    expect(Object.fromEntries(timeline.rows)).toEqual({ a: [0, 5, 0], b: [0, 0, 7] });
    timeline.add(4, new Map([['b', 1]]));
    expect(timeline.times).toEqual([2, 3, 4]);
    expect(Object.fromEntries(timeline.rows)).toEqual({ a: [5, 0, 0], b: [0, 7, 1] });
  });
});
