import { describe, expect, it } from 'vitest';
import { withPrefix } from '../../../src/cni/add.js';
import { readNetworkConfig } from '../../../src/cni/networkConfig.js';
import { refusalOf } from './refusals.js';

const NONE = { command: 'ADD', args: new Map<string, string>() } as const;
const read = (more: object) =>
  readNetworkConfig({ cniVersion: '1.1.0', type: 'vswitch-cni', ...more }, NONE);

describe('the network configuration', () => {
  it('has its defaults', () => {
    expect(read({ name: 'net1' })).toMatchObject({
      name: 'net1',
      network: 'net1',
      ipam: { type: 'vswitch', routes: [] },
      wishes: {},
    });
    expect(read({ name: 'net1', network: 'blue', ipam: {} })).toMatchObject({
      network: 'blue',
      ipam: { type: 'vswitch' },
    });
  });

  it("lets other plugins' and the runtime's keys be", () => {
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.0.0.0/24' }]] };
    expect(read({ name: 'net1', capabilities: { mac: true }, ipam }).ipam).toMatchObject(ipam);
  });

  it('tells all its problems at once, with code 7', () => {
    const ipam = { type: '../evil', routes: [{ dst: 'all' }] };
    const failure = refusalOf(() => read({ name: '/', mtu: 1, vni: 0, ipam }));
    expect(failure.code).toBe(7);
    for (const path of ['name', 'mtu', 'vni', 'ipam.type', 'ipam.routes[0].dst']) {
      expect(failure.details).toContain(`${path}: `);
    }
  });

  it.each(['DEL', 'GC'] as const)(
    'says what %s needs, and nothing else of it matters',
    (command) => {
      const attachments = [{ containerID: 'c1', ifname: 'eth0' }];
      const raw = {
        ...{ name: 'net1', socket: '/run/v.sock', mtu: 1, vni: 'x', dns: 7, prevResult: {} },
        ipam: { type: 'host-local', routes: 'all' },
        runtimeConfig: { mac: '01:00:5e:00:00:01' },
        'cni.dev/valid-attachments': attachments,
      };
      const args = new Map([['IP', '10.0.0.256']]);
      expect(readNetworkConfig(raw, { command, args })).toMatchObject({
        ...{ name: 'net1', socket: '/run/v.sock', wishes: {}, validAttachments: attachments },
        ipam: { type: 'host-local' },
      });
      const nameless = { ...raw, name: '/' };
      expect(refusalOf(() => readNetworkConfig(nameless, { command, args })).code).toBe(7);
    },
  );

  it.each([{}, []])('is refused as %j', (raw) => {
    expect(refusalOf(() => readNetworkConfig(raw, NONE)).code).toBe(7);
  });

  it('takes wishes three ways, the newest first', () => {
    const args = new Map([
      ['MAC', '02:00:00:00:00:01'],
      ['IP', '10.0.0.1/24'],
    ]);
    const old = { ...NONE, args };
    const conventions = { name: 'n', args: { cni: { mac: '02:00:00:00:00:02' } } };
    expect(readNetworkConfig(conventions, old).wishes).toEqual({
      mac: '02:00:00:00:00:02',
      ips: ['10.0.0.1/24'],
    });
    const runtimeConfig = { mac: '02:00:00:00:00:03', ips: [] };
    expect(readNetworkConfig({ ...conventions, runtimeConfig }, old).wishes).toEqual({
      mac: '02:00:00:00:00:03',
      ips: ['10.0.0.1/24'],
    });
    const bad = { ...NONE, args: new Map([['IP', '10.0.0.256']]) };
    expect(refusalOf(() => readNetworkConfig({ name: 'n' }, bad)).code).toBe(7);
  });
});

describe('an address without prefix length', () => {
  it("gets its subnet's", () => {
    const subnets = ['10.0.0.0/24', 'fd00::/64', ''];
    expect(withPrefix('10.0.0.9', subnets)).toBe('10.0.0.9/24');
    expect(withPrefix('fd00::9', subnets)).toBe('fd00::9/64');
    expect(withPrefix('192.0.2.1/30', subnets)).toBe('192.0.2.1/30');
    expect(refusalOf(() => withPrefix('192.0.2.1', subnets)).code).toBe(7);
  });
});
