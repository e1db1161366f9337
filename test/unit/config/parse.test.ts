import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { configOfVtep, parseConfig, readConfig } from '../../../src/config/parse.js';
import { type Problem, SwitchError } from '../../../src/model/error.js';

const VTEP = 'vtep: {address: 10.200.0.1}\n';

/** The problems of a text; fails when it has none. */
function problemsOf(text: string): readonly Problem[] {
  try {
    parseConfig(text, 'vswitchd.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(SwitchError);
    return (error as SwitchError).facts.problems ?? [];
  }
  throw new Error('accepted');
}

/** A file with one network of these settings beside its name. */
function network(settings: string, vtep = VTEP): string {
  return `${vtep}networks:\n  - name: net1\n    ${settings}\n`;
}

const accepted = (text: string) => parseConfig(text, 'vswitchd.yaml').config;
const warningsOf = (text: string) => parseConfig(text, 'vswitchd.yaml').warnings;

describe('a configuration', () => {
  it('gets every default', () => {
    const config = accepted(network('vni: 256'));
    expect(config).toMatchObject({
      vtep: {
        address: '10.200.0.1',
        port: 4789,
        ttl: 64,
        tos: 0,
        ecn: 'normal',
        udp_checksum: true,
        source_ports: { min: 49152, max: 65535, pool: 16 },
        symmetric_hash: false,
        allow_outer_fragmentation: false,
      },
      store: { kind: 'local', url: 'local' },
      control: { socket: '/run/vswitchd/control.sock' },
      datapath: { workers: 'auto', features: { udp_gso: 'auto', sendmmsg: 'auto' } },
    });
    expect(config.networks[0]).toMatchObject({
      ...{ name: 'net1', vni: 256, up: true, peers: [], learning: true, ageing: 300 },
      ...{ max_macs: 16384, mac_limit: 'refuse', strict_source: true, unknown_unicast: 'flood' },
      ...{
        reserved_bits: 'ignore',
        inner_vlan: 'discard',
        priority_tag: 'strip',
        mss_clamp: 'auto',
      },
      ...{ group_fwd_mask: 0, allow_vni_zero: false, fdb: [], ports: [] },
    });
  });

  it('of the design document is accepted', () => {
    const config = accepted(`
vtep:
  address: 10.200.0.1
  port: 4789
store: local
control:
  socket: /run/vswitchd/control.sock
networks:
  - name: net1
    vni: 256
    peers: [10.200.0.2]
    ports:
      - {name: c1, netns: c1, ifname: eth0, addresses: [10.0.0.1/24], mac: "02:42:0a:00:00:01"}
datapath:
  workers: auto
  features: {udp_gso: auto, udp_gro: auto, vnet_hdr: auto, multi_queue: off}
`);
    expect(config.networks[0]?.peers).toEqual([{ address: '10.200.0.2' }]);
    expect(config.networks[0]?.ports[0]).toMatchObject({ name: 'c1', kind: 'tap', max_macs: 1024 });
    expect(config.datapath.features.multi_queue).toBe('off');
  });

  it('may be just an address', () => {
    expect(configOfVtep('fd00::1').config.vtep.address).toBe('fd00::1');
    expect(() => configOfVtep('nonsense')).toThrow(/unicast address/);
  });

  it('may be empty of networks, but not of an address', () => {
    expect(accepted(VTEP).networks).toEqual([]);
    expect(problemsOf('')).toMatchObject([{ path: 'vtep' }]);
    expect(problemsOf('vtep: {}')).toMatchObject([{ path: 'vtep.address', line: 1 }]);
  });

  it('reports all problems at once, in order of lines', () => {
    const problems = problemsOf(`vtep: {address: 10.200.0.1, port: 0}
networks:
  - name: a
    vni: 5
    prots: []
  - name: a
    vni: 5
    ageing: -1
  - name: b c
    vni: 7
    ports:
      - {name: p, mac: "01:00:00:00:00:00"}
`);
    expect(problems.map(({ path, line }) => [path, line])).toEqual([
      ['vtep.port', 1],
      ['networks[0].prots', 5],
      ['networks[1].ageing', 8],
      ['networks[2].name', 9],
      ['networks[2].ports[0].mac', 12],
    ]);
  });

  it('reports conflicts between sound networks although another one is broken', () => {
    const problems = problemsOf(`${VTEP}networks:
  - {name: a, vni: 5}
  - {name: b, vni: 5}
  - {name: c, vni: none}
`);
    expect(problems.map(({ path }) => path)).toEqual(['networks[1].vni', 'networks[2].vni']);
  });

  it.each(['vtep: [', 'a: b: c', 'vtep: {}\nvtep: {}', '*x', '- 1', 'text', '5'])(
    'that is no mapping is refused: %j',
    (text) => {
      expect(problemsOf(text).length).toBeGreaterThan(0);
    },
  );

  it('with aliases beyond reason is refused', () => {
    const level = (n: number) =>
      `l${n}: &l${n} [${Array(10)
        .fill(`*l${n - 1}`)
        .join(', ')}]\n`;
    const text = `l0: &l0 [x]\n${Array.from({ length: 9 }, (_, i) => level(i + 1)).join('')}`;
    expect(problemsOf(text)[0]?.allowed).toContain('alias');
  });

  it('names its file when it cannot be read', async () => {
    await expect(readConfig('/nowhere/vswitchd.yaml')).rejects.toThrow(/^cannot read \/nowhere/);
  });

  it('is read from a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'a.yaml'), VTEP);
    await expect(readConfig(join(folder, 'a.yaml'))).resolves.toMatchObject({ warnings: [] });
  });
});

describe('a VNI', () => {
  it.each([
    ['-1', -1],
    ['16777216', 16777216],
    ['1.5', 1.5],
    ['"0x10"', '0x10'],
    ['.nan', Number.NaN],
    ['""', ''],
    ['', null],
    ['[1]', [1]],
  ])('[N229] %s is refused with path, line and range', (text, value) => {
    expect(problemsOf(network(`vni: ${text}`))).toEqual([
      { path: 'networks[0].vni', line: 4, value, allowed: expect.stringContaining('1-16777215') },
    ]);
  });

  it('[N230] 0 is refused unless allow_vni_zero is set', () => {
    expect(problemsOf(network('vni: 0'))).toMatchObject([
      { path: 'networks[0].vni', value: 0, allowed: expect.stringContaining('allow_vni_zero') },
    ]);
    expect(accepted(network('vni: 0\n    allow_vni_zero: true')).networks[0]?.vni).toBe(0);
  });

  const pair = (a: string, b: string) =>
    `${VTEP}networks:\n  - {name: a, ${a}}\n  - {name: b, ${b}}\n`;

  it('[N231] twice on one UDP port is refused', () => {
    expect(problemsOf(pair('vni: 5', 'vni: 5'))).toMatchObject([
      { path: 'networks[1].vni', line: 4, allowed: expect.stringContaining('network a has it') },
    ]);
    expect(problemsOf(pair('vni: 5', 'vni: 5, port: 4789'))).toHaveLength(1);
  });

  it('[N232] twice on different UDP ports is accepted', () => {
    expect(accepted(pair('vni: 5', 'vni: 5, port: 8472')).networks).toHaveLength(2);
  });
});

describe('addresses', () => {
  it('[N235] of another family than the VTEP are refused', () => {
    expect(problemsOf(network('vni: 1\n    peers: [fd00::2]'))).toMatchObject([
      { path: 'networks[0].peers[0].address', line: 5, value: 'fd00::2' },
    ]);
    const six = network('vni: 1\n    peers: [10.0.0.2]', 'vtep: {address: "fd00::1"}\n');
    expect(problemsOf(six)).toMatchObject([{ value: '10.0.0.2' }]);
    const fdb = network('vni: 1\n    fdb: [{mac: "02:00:00:00:00:01", vtep: "fd00::2"}]');
    expect(problemsOf(fdb)).toMatchObject([{ path: 'networks[0].fdb[0].vtep' }]);
  });

  it('[N236] a group without interface is refused', () => {
    expect(problemsOf(network('vni: 1\n    group: {address: 239.1.1.1}'))).toMatchObject([
      { path: 'networks[0].group.interface', line: 5 },
    ]);
  });

  it('[N237] a group that is no multicast, and a VTEP or peer that is, are refused', () => {
    const group = 'vni: 1\n    group: {address: 10.0.0.1, interface: eth0}';
    expect(problemsOf(network(group))).toMatchObject([{ path: 'networks[0].group.address' }]);
    expect(problemsOf(network('vni: 1\n    peers: [239.1.1.1]'))).toMatchObject([
      { path: 'networks[0].peers[0].address' },
    ]);
    expect(problemsOf('vtep: {address: "ff02::1"}')).toMatchObject([{ path: 'vtep.address' }]);
  });

  it('[L212] link-local ones need an interface', () => {
    const file = (scope: string) =>
      `vtep: {address: "fe80::1"${scope}}\nnetworks: [{name: a, vni: 1, peers: ["fe80::2"]}]\n`;
    expect(problemsOf(file('')).map(({ path }) => path)).toEqual([
      'vtep.address',
      'networks[0].peers[0].address',
    ]);
    expect(accepted(file(', interface: eth0')).vtep.interface).toBe('eth0');
  });

  it('[J176] our own address and duplicates among peers are warnings with path and line', () => {
    const warnings = warningsOf(
      network('vni: 1\n    peers: [10.200.0.2, "10.200.0.2:4789", 10.200.0.1]'),
    );
    expect(warnings).toEqual([
      expect.stringMatching(
        /^networks\[0\]\.peers\[1\] \(line 5\): 10\.200\.0\.2:4789 is listed twice/,
      ),
      expect.stringMatching(/^networks\[0\]\.peers\[2\] \(line 5\): 10\.200\.0\.1 is our own/),
    ]);
  });

  it('outside the subnet are a warning', () => {
    const text = network(
      'vni: 1\n    subnet: 10.0.0.0/24\n    ports: [{name: p, addresses: [10.0.1.1/24]}]',
    );
    expect(warningsOf(text)).toEqual([
      expect.stringContaining('10.0.1.1 lies outside the subnet 10.0.0.0/24'),
    ]);
  });
});

describe('numbers', () => {
  it.each([
    'port: 0',
    'port: 65536',
    'source_ports: {min: 2000, max: 1999}',
    'source_ports: {min: 1023}',
    'source_ports: {min: 5000, max: 5003, pool: 5}',
  ])('[N238] vtep %s is refused', (setting) => {
    const [problem, ...others] = problemsOf(`vtep:\n  address: 10.200.0.1\n  ${setting}\n`);
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ line: 3, path: expect.stringMatching(/^vtep\./) });
  });

  it('[N238] a UDP port of a network or peer is 1-65535', () => {
    expect(problemsOf(network('vni: 1\n    port: 0'))).toMatchObject([
      { allowed: 'a UDP port 1-65535' },
    ]);
    expect(
      problemsOf(network('vni: 1\n    peers: [{address: 10.0.0.2, port: 65536}]')),
    ).toHaveLength(1);
    expect(problemsOf(network('vni: 1\n    peers: ["10.0.0.2:0"]'))).toHaveLength(1);
  });

  it('[N239] an MTU below 68, below 1280 with IPv6, or beyond what fits is refused', () => {
    const ports = (port: string) => network(`vni: 1\n    ports: [{name: p, ${port}}]`);
    expect(problemsOf(network('vni: 1\n    mtu: 67'))).toMatchObject([
      { path: 'networks[0].mtu', line: 5 },
    ]);
    expect(problemsOf(network('vni: 1\n    mtu: 65486'))).toHaveLength(1);
    expect(problemsOf(network('vni: 1\n    mtu: 1279\n    subnet: "fd00:1::/64"'))).toMatchObject([
      { allowed: expect.stringContaining('1280') },
    ]);
    expect(problemsOf(ports('mtu: 1279, addresses: ["fd00::1/64"]'))).toMatchObject([
      { path: 'networks[0].ports[0].mtu' },
    ]);
    expect(accepted(ports('mtu: 68, addresses: [10.0.0.1/8]')).networks).toHaveLength(1);
    const six = network('vni: 1\n    mtu: 65466', 'vtep: {address: "fd00::1"}\n');
    expect(problemsOf(six)).toMatchObject([{ allowed: expect.stringContaining('65465') }]);
  });

  it('[I155] a group forwarding mask never opens 0, 1 or 2', () => {
    for (const mask of [1, 2, 4, 65536]) {
      expect(problemsOf(network(`vni: 1\n    group_fwd_mask: ${mask}`))).toHaveLength(1);
    }
    expect(
      accepted(network('vni: 1\n    group_fwd_mask: 0x4008')).networks[0]?.group_fwd_mask,
    ).toBe(0x4008);
  });

  it('[B29] a mask of reserved bits spares the I flag and the VNI', () => {
    const mask = (text: string) => network(`vni: 1\n    reserved_bits_mask: "${text}"`);
    expect(accepted(mask('F7FFFFFF000000FF')).networks[0]?.reserved_bits_mask).toBe(
      'f7ffffff000000ff',
    );
    for (const bad of ['0800000000000000', '0000000000000100', '00', 'x000000000000000']) {
      expect(problemsOf(mask(bad))).toHaveLength(1);
    }
  });

  it('[C48] VLAN lists hold IDs and ranges', () => {
    const vlans = (text: string) => network(`vni: 1\n    inner_vlan: ${text}`);
    expect(accepted(vlans('[7, "100-200"]')).networks[0]?.inner_vlan).toEqual([7, '100-200']);
    for (const bad of ['[]', '[0]', '[4095]', '["200-100"]', '[x]', 'some', '[1.5]']) {
      expect(problemsOf(vlans(bad)), bad).toHaveLength(1);
    }
  });
});

describe('keys and words', () => {
  it('[N240] an unknown key is refused with its line and the nearest known one', () => {
    const problems = problemsOf(`${VTEP}netwroks: []\ncontrol:\n  sokcet: /x\n  zzz: 1\n`);
    expect(problems).toMatchObject([
      { path: 'netwroks', line: 2, nearest: 'networks' },
      { path: 'control.sokcet', line: 4, nearest: 'socket' },
      { path: 'control.zzz', line: 5, nearest: 'socket' },
    ]);
  });

  it.each(['__proto__: 1', 'constructor: 1', 'toString: 1'])(
    '[N240] %s is an unknown key',
    (text) => {
      expect(problemsOf(`${VTEP}${text}\n`).length).toBeGreaterThan(0);
    },
  );

  it('[E88] the UDP checksum cannot be switched off over IPv6', () => {
    expect(problemsOf('vtep: {address: "fd00::1", udp_checksum: false}')).toMatchObject([
      { path: 'vtep.udp_checksum' },
    ]);
    expect(accepted('vtep: {address: 10.0.0.1, udp_checksum: false}').vtep.udp_checksum).toBe(
      false,
    );
  });

  it('[E90] the TTL is a number or inherit', () => {
    expect(accepted('vtep: {address: 10.0.0.1, ttl: inherit}').vtep.ttl).toBe('inherit');
    for (const ttl of ['0', '256', 'copy']) {
      expect(problemsOf(`vtep: {address: 10.0.0.1, ttl: ${ttl}}`)).toHaveLength(1);
    }
  });

  it('[F107] [F108] the TOS is a DSCP or inherit, ECN a mode', () => {
    for (const tos of [0, 184, 252, 'inherit'])
      expect(accepted(`vtep: {address: 10.0.0.1, tos: ${tos}}`).vtep.tos).toBe(tos);
    for (const tos of ['-4', '1', '185', '256', 'copy'])
      expect(problemsOf(`vtep: {address: 10.0.0.1, tos: ${tos}}`)).toHaveLength(1);
    for (const ecn of ['normal', 'compat', 'linux'])
      expect(accepted(`vtep: {address: 10.0.0.1, ecn: ${ecn}}`).vtep.ecn).toBe(ecn);
    expect(problemsOf('vtep: {address: 10.0.0.1, ecn: none}')).toHaveLength(1);
  });

  it('[F110] a PCP is mapped to a DSCP', () => {
    const [net] = accepted(network('vni: 1\n    pcp_tos: {0: 32, 5: 184}')).networks;
    expect(net?.pcp_tos).toEqual({ 0: 32, 5: 184 });
    for (const map of ['{8: 32}', '{5: 185}', '{5: inherit}', '[184]'])
      expect(problemsOf(network(`vni: 1\n    pcp_tos: ${map}`))).toHaveLength(1);
  });

  it('a namespace may be a name, a path or a number', () => {
    const port = (netns: string) =>
      accepted(network(`vni: 1\n    ports: [{name: p, netns: ${netns}}]`)).networks[0]?.ports[0]
        ?.netns;
    expect(port('c1')).toBe('c1');
    expect(port('4711')).toBe('4711');
    expect(problemsOf(network('vni: 1\n    ports: [{name: p, netns: ""}]'))).toHaveLength(1);
  });
});

describe('what may stand only once', () => {
  const ports = (...list: string[]) =>
    network(`vni: 1\n    ports:\n${list.map((port) => `      - {${port}}`).join('\n')}`);

  it.each([
    ['a port name', 'name: p, netns: a', 'name: p, netns: b', 'networks[0].ports[1].name'],
    [
      'a MAC in a network',
      'name: p, mac: "02:00:00:00:00:01"',
      'name: q, mac: "02-00-00-00-00-01"',
      'networks[0].ports[1].mac',
    ],
    [
      'an interface in a namespace',
      'name: p, netns: a',
      'name: q, netns: /run/netns/a',
      'networks[0].ports[1].ifname',
    ],
  ])('%s', (_, first, second, path) => {
    expect(problemsOf(ports(first, second))).toMatchObject([{ path, line: 7 }]);
  });

  it('but memory ports have no interface', () => {
    expect(
      accepted(ports('name: p, kind: memory', 'name: q, kind: memory')).networks[0]?.ports,
    ).toHaveLength(2);
  });

  it('and a port name that is too long for an interface needs an ifname', () => {
    expect(problemsOf(ports('name: sixteen-letters-'))).toMatchObject([
      { path: 'networks[0].ports[0].ifname' },
    ]);
  });

  it('an FDB entry has one target that exists', () => {
    const fdb = (entry: string) => network(`vni: 1\n    fdb: [{mac: "02:00:00:00:00:01"${entry}}]`);
    for (const bad of [
      '',
      ', local: true, vtep: 10.0.0.2',
      ', port: nowhere',
      ', local: true, vni: 5',
      ', vtep: 10.200.0.1',
    ]) {
      expect(problemsOf(fdb(bad)), bad).toHaveLength(1);
    }
    expect(
      accepted(fdb(', vtep: 10.0.0.2, vni: 77, udp_port: 8472')).networks[0]?.fdb,
    ).toHaveLength(1);
  });

  it('[D72] the all-zero MAC is the flood list and needs a VTEP', () => {
    const fdb = (entries: string) => network(`vni: 1\n    fdb: [${entries}]`);
    const zero = 'mac: "00:00:00:00:00:00"';
    expect(problemsOf(fdb(`{${zero}, local: true}`))).toHaveLength(1);
    expect(
      accepted(fdb(`{${zero}, vtep: 10.0.0.2}, {${zero}, vtep: 10.0.0.3}`)).networks[0]?.fdb,
    ).toHaveLength(2);
  });
});
