import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/parse.js';
import type { NetworkSpec } from '../../../src/datapath/seam.js';
import { type Intent, plan, underlayMtuOf } from '../../../src/overlay/plan.js';

function intentOf(text: string, underlayMtu = 1500): Intent {
  const { vtep, datapath, networks } = parseConfig(text, 'test').config;
  return { vtep, datapath, owner: '/run/x.sock', networks, underlayMtu };
}

const network = (settings: string, waiting: string[] = []): NetworkSpec => {
  const text = `vtep: {address: 10.0.0.1}\nnetworks: [{name: n, vni: 9, ${settings}}]`;
  return plan(intentOf(text), new Set(waiting)).networks[0]!;
};

describe('the VTEP and the engine', () => {
  it('are what the file says', () => {
    const desired = plan(
      intentOf(`
vtep: {address: "fe80::1", interface: eth0, ttl: inherit, tos: inherit, ecn: compat, symmetric_hash: true, allow_outer_fragmentation: true, source_ports: {min: 2000, max: 2100, pool: 3}}
datapath: {workers: 2, features: {udp_gso: off, sendmmsg: off}}
`),
      new Set(),
    );
    expect(desired.vtep).toEqual({
      address: 'fe80::1',
      scopeInterface: 'eth0',
      ecn: 'compat',
      udpChecksum: true,
      sourcePorts: { min: 2000, max: 2100, pool: 3 },
      symmetricHash: true,
      allowOuterFragmentation: true,
      memory: false,
    });
    expect(desired.engine).toEqual({
      owner: '/run/x.sock',
      workers: 2,
      ...{ udpGso: false, udpGro: true, vnetHdr: true, multiQueue: true },
      ...{ recvmmsg: true, sendmmsg: false, spin: true, underlay: 'udp' },
    });
  });

  it('[F106] [F108] ECN is copied and the DSCP zero unless told otherwise', () => {
    const { tos, ecn } = plan(intentOf('vtep: {address: 10.0.0.1}'), new Set()).vtep;
    expect({ tos, ecn }).toEqual({ tos: 0, ecn: 'normal' });
    const fixed = plan(intentOf('vtep: {address: 10.0.0.1, tos: 184, ecn: linux}'), new Set());
    expect(fixed.vtep).toMatchObject({ tos: 184, ecn: 'linux' });
  });

  it('[E90] the TTL is 64 unless told otherwise', () => {
    expect(plan(intentOf('vtep: {address: 10.0.0.1}'), new Set()).vtep.ttl).toBe(64);
  });
});

describe('a network', () => {
  it('is complete in the terms of the seam', () => {
    expect(
      network(
        `up: false, learning: false, ageing: 0, max_macs: 5, mac_limit: evict-oldest, strict_source: false,
         unknown_unicast: drop, reserved_bits: drop, reserved_bits_mask: "f700000000000000", inner_vlan: [7, "100-200"],
         priority_tag: drop, mss_clamp: off, group_fwd_mask: 0x4008, pcp_tos: {0: 32, 5: 184}, open: true, group: {address: 239.1.1.1, interface: eth0}`,
      ),
    ).toEqual({
      ...{
        name: 'n',
        vni: 9,
        udpPort: 4789,
        up: false,
        mssClamp: false,
        learning: false,
        ageingSecs: 0,
        maxMacs: 5,
      },
      ...{ evictOldest: true, strictSource: false, dropUnknownUnicast: true },
      ...{ reservedBits: 'drop', reservedBitsMask: 'f700000000000000' },
      pcpTos: [
        { pcp: 0, tos: 32 },
        { pcp: 5, tos: 184 },
      ],
      innerVlan: 'allow',
      innerVlans: [
        { first: 7, last: 7 },
        { first: 100, last: 200 },
      ],
      ...{ priorityTag: 'drop', groupForwardMask: 0x4008, openPeers: true },
      group: { address: '239.1.1.1', interface: 'eth0', ttl: 1 },
      ...{ ports: [], tunnels: [], fdb: [], neighbors: [] },
    });
  });

  it('[C47] discards VLAN tags by default, and lets all pass with allow', () => {
    expect(network('up: true')).toMatchObject({ innerVlan: 'discard', innerVlans: [] });
    expect(network('inner_vlan: allow')).toMatchObject({ innerVlan: 'allow', innerVlans: [] });
  });

  it('[M215] is closed, with peers and without, unless told otherwise', () => {
    expect(network('peers: [10.0.0.2]').openPeers).toBe(false);
    expect(network('peers: []').openPeers).toBe(false);
    expect(network('open: true').openPeers).toBe(true);
  });

  it('with a multicast group is open unless closed by word', () => {
    const group = 'group: {address: 239.1.1.1, interface: eth0}';
    expect(network(group).openPeers).toBe(true);
    expect(network(`${group}, open: false`).openPeers).toBe(false);
  });

  it('[E78] has the UDP port of the VTEP, its own, or a peer has another', () => {
    expect(network('peers: [10.0.0.2]').tunnels).toEqual([
      { remote: '10.0.0.2', udpPort: 4789, vni: 9, flood: true },
    ]);
    expect(network('port: 8472, peers: ["10.0.0.2:1"]')).toMatchObject({
      udpPort: 8472,
      tunnels: [{ udpPort: 1 }],
    });
  });

  it('[J176] has each VTEP once, and never ourselves', () => {
    const { tunnels } = network(
      'peers: [10.0.0.2, 10.0.0.1, "10.0.0.2:4789", {address: 10.0.0.2, vni: 9}]',
    );
    expect(tunnels).toEqual([{ remote: '10.0.0.2', udpPort: 4789, vni: 9, flood: true }]);
  });
});

describe('static FDB entries', () => {
  const mac = 'mac: "02:00:00:00:00:01"';

  it('[D74] may use a VNI and UDP port of their own, through a tunnel that is not flooded to', () => {
    const spec = network(
      `peers: [10.0.0.2], fdb: [{${mac}, vtep: 10.0.0.2, vni: 77, udp_port: 8472}]`,
    );
    expect(spec.tunnels).toEqual([
      { remote: '10.0.0.2', udpPort: 4789, vni: 9, flood: true },
      { remote: '10.0.0.2', udpPort: 8472, vni: 77, flood: false },
    ]);
    expect(spec.fdb).toEqual([
      {
        mac: '02:00:00:00:00:01',
        origin: 'static',
        to: { tunnel: { remote: '10.0.0.2', udpPort: 8472, vni: 77 } },
      },
    ]);
  });

  it('use the tunnel of a peer where there is one', () => {
    const { tunnels } = network(`peers: [10.0.0.2], fdb: [{${mac}, vtep: 10.0.0.2}]`);
    expect(tunnels).toEqual([{ remote: '10.0.0.2', udpPort: 4789, vni: 9, flood: true }]);
  });

  it('[D72] with the all-zero MAC make a flooded tunnel and no entry', () => {
    const spec = network('fdb: [{mac: "00:00:00:00:00:00", vtep: 10.0.0.3}]');
    expect(spec).toMatchObject({ fdb: [], tunnels: [{ remote: '10.0.0.3', flood: true }] });
  });

  it('[I160] may lead to this host itself', () => {
    expect(network(`fdb: [{${mac}, local: true}]`).fdb[0]?.to).toEqual({ local: true });
  });

  it('wait with their port', () => {
    const settings = `ports: [{name: p, netns: a}], fdb: [{${mac}, port: p}]`;
    expect(network(settings).fdb[0]?.to).toEqual({ port: 'p' });
    expect(network(settings, ['p'])).toMatchObject({ ports: [], fdb: [] });
  });
});

describe('a port', () => {
  it('is complete in the terms of the seam', () => {
    const spec = network(
      `ports: [{name: p, netns: 12, mac: "02:00:00:00:00:01", mtu: 900, addresses: [10.1.0.1/24, "fd00::1/64"],
        flood: false, broadcast: false, hairpin: true, max_macs: 3}]`.replace(
        'mtu: 900',
        'mtu: 1400',
      ),
    );
    expect(spec.ports).toEqual([
      {
        ...{
          name: 'p',
          kind: 'tap',
          netns: '/proc/12/ns/net',
          ifname: 'eth0',
          mac: '02:00:00:00:00:01',
        },
        ...{ mtu: 1400, addresses: ['10.1.0.1/24', 'fd00::1/64'] },
        ...{ floodUnknown: false, floodBroadcast: false, hairpin: true, maxMacs: 3 },
      },
    ]);
  });

  it('in our own namespace has its name as interface name', () => {
    expect(network('ports: [{name: p}]').ports[0]).toMatchObject({ ifname: 'p' });
    expect(network('ports: [{name: p}]').ports[0]).not.toHaveProperty('netns');
  });

  it('in memory has no interface', () => {
    expect(network('ports: [{name: p, kind: memory}]').ports[0]).not.toHaveProperty('ifname');
  });

  it.each([
    ['10.0.0.1', 1500, 1450],
    ['10.0.0.1', 9000, 8950],
    ['10.0.0.1', 65536, 65485],
    ['fd00::1', 1500, 1430],
  ])('[L214] over %s with underlay MTU %i has MTU %i', (address, underlay, mtu) => {
    const text = `vtep: {address: "${address}"}\nnetworks: [{name: n, vni: 9, ports: [{name: p}]}]`;
    expect(plan(intentOf(text, underlay), new Set()).networks[0]?.ports[0]?.mtu).toBe(mtu);
  });

  it('has its own MTU before that of its network', () => {
    expect(
      network('mtu: 1200, ports: [{name: p}, {name: q, mtu: 1300}]').ports.map((p) => p.mtu),
    ).toEqual([1200, 1300]);
  });
});

describe('the underlay MTU', () => {
  const interfaces = [
    { mtu: 65536, addresses: ['127.0.0.1/8', '::1/128'] },
    { mtu: 9000, addresses: ['10.0.0.1', 'fe80::1%eth0', '2001:DB8::1/64'] },
  ];

  it('is that of the interface with the VTEP address', () => {
    expect(underlayMtuOf('10.0.0.1', interfaces)).toBe(9000);
    expect(underlayMtuOf('fe80::1', interfaces)).toBe(9000);
    expect(underlayMtuOf('2001:db8::1', interfaces)).toBe(9000);
  });

  it("is Ethernet's when nobody has the address", () => {
    expect(underlayMtuOf('10.0.0.9', interfaces)).toBe(1500);
  });
});
