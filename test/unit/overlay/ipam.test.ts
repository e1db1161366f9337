import { describe, expect, it } from 'vitest';
import {
  AUTOMATIC_SUBNETS,
  freeAddresses,
  freeSubnets,
  freeVnis,
  inPool,
  isUsable,
  pick,
} from '../../../src/overlay/ipam.js';

const none: ReadonlySet<never> = new Set();
const first = <T>(items: Iterable<T>, count: number): T[] => {
  const found: T[] = [];
  for (const item of items) if (found.push(item) === count) break;
  return found;
};

describe('the free addresses of a pool', () => {
  it('are those of hosts, without the gateway and what is taken', () => {
    const pool = { subnet: '10.0.0.0/29', gateway: '10.0.0.1' };
    expect([...freeAddresses(pool, new Set(['10.0.0.3']))]).toEqual([
      ...['10.0.0.2', '10.0.0.4', '10.0.0.5', '10.0.0.6'],
    ]);
  });

  it('begin after the one given last, and go round', () => {
    const pool = { subnet: '10.0.0.0/29' };
    const behind = (last: string) => [...freeAddresses(pool, none, last)];
    expect(behind('10.0.0.4')).toEqual([
      ...['10.0.0.5', '10.0.0.6', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'],
    ]);
    expect(behind('10.0.0.6')[0]).toBe('10.0.0.1');
    expect(behind('10.9.9.9')).toHaveLength(6);
    expect(behind('fd00::1')).toHaveLength(6);
  });

  it('lie in the range if there is one', () => {
    const pool = { subnet: '10.0.0.0/24', range: '10.0.0.0/30' };
    expect([...freeAddresses(pool, none)]).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect([...freeAddresses(pool, none, '10.0.0.77')]).toHaveLength(3);
    const last = { subnet: '10.0.0.0/24', range: '10.0.0.252/30' };
    expect([...freeAddresses(last, none)]).toEqual(['10.0.0.252', '10.0.0.253', '10.0.0.254']);
  });

  it('of a point-to-point subnet are both', () => {
    expect([...freeAddresses({ subnet: '10.0.0.6/31' }, none)]).toEqual(['10.0.0.6', '10.0.0.7']);
    expect([...freeAddresses({ subnet: '10.0.0.6/32' }, none)]).toEqual(['10.0.0.6']);
    expect([...freeAddresses({ subnet: 'fd00::/127' }, none)]).toEqual(['fd00::', 'fd00::1']);
  });

  it('of an IPv6 subnet cost only what is asked for', () => {
    const pool = { subnet: 'fd00:1::/64', gateway: 'fd00:1::1' };
    expect(first(freeAddresses(pool, none), 2)).toEqual(['fd00:1::2', 'fd00:1::3']);
    const last = 'fd00:1::ffff:ffff:ffff:fffe';
    expect(first(freeAddresses(pool, none, last), 2)).toEqual([
      ...['fd00:1::ffff:ffff:ffff:ffff', 'fd00:1::2'],
    ]);
  });
});

describe('an address', () => {
  it.each([
    ['10.0.0.1', true],
    ['10.0.0.254', true],
    ['10.0.0.0', false],
    ['10.0.0.255', false],
    ['10.0.1.1', false],
    ['fd00::1', false],
    ['nonsense', false],
  ])('%s may be a host of 10.0.0.0/24: %s', (address, isHost) => {
    expect(isUsable({ subnet: '10.0.0.0/24' }, address)).toBe(isHost);
  });

  it('has the prefix length of its pool', () => {
    expect(inPool({ subnet: '10.0.0.0/20' }, '10.0.3.1')).toBe('10.0.3.1/20');
  });
});

describe('automatic subnets', () => {
  it('overlap with nothing that is there', () => {
    const taken = [
      '10.112.0.0/24',
      '10.112.1.128/25',
      '10.112.2.0/23',
      '192.168.0.0/16',
      'fd00::/8',
    ];
    expect(first(freeSubnets(taken, none), 2)).toEqual(['10.112.4.0/24', '10.112.5.0/24']);
    expect([...freeSubnets(['10.0.0.0/8'], none)]).toEqual([]);
    expect(first(freeSubnets([], new Set(['10.112.0.0/24'])), 1)).toEqual(['10.112.1.0/24']);
  });

  it('fill their range', () => {
    expect([...freeSubnets([], none)]).toHaveLength(4096);
    expect([...freeSubnets([AUTOMATIC_SUBNETS], none)]).toEqual([]);
  });
});

describe('VNIs', () => {
  it('follow the highest, and then the lowest', () => {
    expect(first(freeVnis(none, 0), 2)).toEqual([256, 257]);
    expect(first(freeVnis(new Set([300]), 299), 2)).toEqual([301, 302]);
    expect(first(freeVnis(new Set([0xffffff, 256]), 0xfffffe), 2)).toEqual([257, 258]);
    expect(first(freeVnis(new Set([0xffffff]), 0xffffff), 1)).toEqual([256]);
  });
});

describe('a choice', () => {
  it('is the first, and after lost races one of ever more', () => {
    const all = Array.from({ length: 1000 }, (_, at) => at);
    const last = () => 0.999999;
    expect(pick(all, 0, last)).toBe(0);
    expect([1, 2, 3, 30].map((attempt) => pick(all, attempt, last))).toEqual([7, 15, 31, 255]);
    expect(pick([], 3, last)).toBeUndefined();
    expect(pick([5], 9, last)).toBe(5);
  });
});
