/** Random settings that are valid, for property tests. */

import fc from 'fast-check';
import type { z } from 'zod';
import type { networkSchema, portSchema } from '../../src/config/networkSchema.js';

export const mac = fc
  .tuple(
    fc.constantFrom('02', '06', '0a', 'fe'),
    fc.array(fc.nat(255), { minLength: 5, maxLength: 5 }),
  )
  .map(([first, rest]) =>
    [first, ...rest.map((byte) => byte.toString(16).padStart(2, '0'))].join(':'),
  );

/** Addresses that one host can own. */
export const hostIp = fc
  .tuple(fc.integer({ min: 1, max: 223 }), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((bytes) => bytes.join('.'));

/** Few on purpose, so that things meet. */
export const fewNames = fc.constantFrom('a', 'b', 'c', 'd');
export const peerIp = fc.integer({ min: 1, max: 5 }).map((n) => `10.200.0.${n}`);

const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

export const port: fc.Arbitrary<z.input<typeof portSchema>> = fc.record(
  {
    name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/),
    kind: fc.constantFrom('tap' as const, 'memory' as const),
    netns: optional(fc.constantFrom('c1', '/var/run/netns/x', '4711')),
    mac: optional(mac),
    mtu: optional(fc.integer({ min: 1280, max: 9000 })),
    addresses: fc.array(
      fc.tuple(hostIp, fc.integer({ min: 1, max: 32 })).map((pair) => pair.join('/')),
      { maxLength: 2 },
    ),
    flood: fc.boolean(),
    broadcast: fc.boolean(),
    hairpin: fc.boolean(),
    max_macs: fc.nat(5000),
  },
  { requiredKeys: ['name'] },
);

const vlan = fc.integer({ min: 1, max: 4094 });

/** Sound in itself; two of them may still conflict. */
export const network: fc.Arbitrary<z.input<typeof networkSchema>> = fc.record(
  {
    name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/),
    vni: fc.integer({ min: 1, max: 0xffffff }),
    port: fc.integer({ min: 1, max: 65535 }),
    subnet: fc.constantFrom('10.0.0.0/8', '192.168.4.0/22'),
    up: fc.boolean(),
    peers: fc.array(
      fc.oneof(
        peerIp,
        fc.tuple(peerIp, fc.integer({ min: 1, max: 65535 })).map((pair) => pair.join(':')),
      ),
      { maxLength: 4 },
    ),
    open: fc.boolean(),
    learning: fc.boolean(),
    ageing: fc.nat(1_000_000),
    max_macs: fc.integer({ min: 1, max: 1_048_576 }),
    mac_limit: fc.constantFrom('refuse' as const, 'evict-oldest' as const),
    strict_source: fc.boolean(),
    unknown_unicast: fc.constantFrom('flood' as const, 'drop' as const),
    reserved_bits: fc.constantFrom('ignore' as const, 'drop' as const),
    reserved_bits_mask: fc.constantFrom('f700000000000000', '0000000000000000', '00000000000000ff'),
    inner_vlan: fc.oneof(
      fc.constantFrom('discard' as const, 'allow' as const),
      fc.array(
        fc.oneof(
          vlan,
          vlan.map((id) => `1-${id}`),
        ),
        { minLength: 1, maxLength: 3 },
      ),
    ),
    priority_tag: fc.constantFrom('strip' as const, 'drop' as const),
    group_fwd_mask: fc.nat(0x1fff).map((bits) => bits << 3),
    pcp_tos: fc.dictionary(
      fc.constantFrom('0', '1', '2', '3', '4', '5', '6', '7'),
      fc.nat(63).map((dscp) => dscp * 4),
    ),
    mss_clamp: fc.constantFrom('auto' as const, 'off' as const),
    mtu: fc.integer({ min: 1280, max: 9000 }),
    ports: fc.uniqueArray(port, { maxLength: 3, selector: (item) => item.name }),
  },
  { requiredKeys: ['name', 'vni'] },
);
