import { describe, expect, it } from 'vitest';
import {
  contains,
  formatCidr,
  isHostAddress,
  isLinkLocal6,
  isMulticast,
  parseCidr,
  parseIp,
  subnetOf,
} from '../../../src/model/ip.js';
import { isGroupMac, isZeroMac, parseMac } from '../../../src/model/mac.js';
import { netnsName, netnsPath } from '../../../src/model/netns.js';
import { firstFreeVni, parseVni, VNI_MAX } from '../../../src/model/vni.js';
import { formatVtep, parseVtep } from '../../../src/model/vtep.js';

describe('MAC addresses', () => {
  it('are one text whatever the notation', () => {
    expect(parseMac('02-42-0A-00-00-01')).toBe('02:42:0a:00:00:01');
    expect(parseMac('02:42:0A:00:00:01')).toBe('02:42:0a:00:00:01');
  });

  it.each([
    '',
    '02:42:0a:00:00',
    '02:42:0a:00:00:01:02',
    '02:42-0a:00:00:01',
    '0g:00:00:00:00:00',
    ' 02:42:0a:00:00:01',
  ])('refuse %j', (text) => expect(parseMac(text)).toBeUndefined());

  it('know groups and the zero address', () => {
    expect(isGroupMac(parseMac('01:00:5e:00:00:01')!)).toBe(true);
    expect(isGroupMac(parseMac('02:00:00:00:00:01')!)).toBe(false);
    expect(isZeroMac(parseMac('00:00:00:00:00:00')!)).toBe(true);
  });
});

describe('IP addresses', () => {
  it('are canonical', () => {
    expect(parseIp('2001:DB8:0:0::1')).toEqual({ family: 6, address: '2001:db8::1' });
    expect(parseIp('10.0.0.1')).toEqual({ family: 4, address: '10.0.0.1' });
  });

  it.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    'fe80::1%eth0',
    '::ffff:1.2.3.4',
    '1::2::3',
    'host',
  ])('refuse %j', (text) => expect(parseIp(text)).toBeUndefined());

  it('know their kind', () => {
    const ip = (text: string) => parseIp(text)!;
    expect(isMulticast(ip('239.1.1.1'))).toBe(true);
    expect(isMulticast(ip('ff02::1'))).toBe(true);
    expect(isMulticast(ip('fd00::1'))).toBe(false);
    expect(isLinkLocal6(ip('febf::1'))).toBe(true);
    expect(isLinkLocal6(ip('fec0::1'))).toBe(false);
    for (const none of ['0.0.0.0', '255.255.255.255', '224.0.0.1', '::', 'ff02::1', '240.0.0.1']) {
      expect(isHostAddress(ip(none)), none).toBe(false);
    }
    expect(isHostAddress(ip('127.0.0.1'))).toBe(true);
  });
});

describe('prefixes', () => {
  it('keep host bits and know their subnet', () => {
    const cidr = parseCidr('10.1.2.3/20')!;
    expect(formatCidr(cidr)).toBe('10.1.2.3/20');
    expect(formatCidr(subnetOf(cidr))).toBe('10.1.0.0/20');
    expect(formatCidr(subnetOf(parseCidr('2001:db8::1:2/112')!))).toBe('2001:db8::1:0/112');
  });

  it.each([
    '10.0.0.1',
    '10.0.0.1/33',
    '10.0.0.1/',
    '10.0.0.1/024',
    'fd00::/129',
    '10.0.0.1/8/8',
    '10.0.0.1/-1',
  ])('refuse %j', (text) => expect(parseCidr(text)).toBeUndefined());

  it('contain addresses of their family', () => {
    const subnet = parseCidr('10.0.0.0/24')!;
    expect(contains(subnet, parseIp('10.0.0.255')!)).toBe(true);
    expect(contains(subnet, parseIp('10.0.1.0')!)).toBe(false);
    expect(contains(parseCidr('0.0.0.0/0')!, parseIp('::1')!)).toBe(false);
  });
});

describe('VNIs', () => {
  it.each(['', '-1', '16777216', '1.5', '0x10', 'NaN', '01', '1e3', ' 1'])(
    '[N229] refuse %j',
    (text) => expect(parseVni(text)).toBeUndefined(),
  );

  it('are 24 bits', () => {
    expect(parseVni('16777215')).toBe(VNI_MAX);
    expect(parseVni('0')).toBe(0);
  });

  it('are allocated from 256 upward', () => {
    expect(firstFreeVni(new Set())).toBe(256);
    expect(firstFreeVni(new Set([256, 257, 259]))).toBe(258);
  });
});

describe('VTEPs', () => {
  it.each([
    ['10.0.0.2', { address: '10.0.0.2' }],
    ['10.0.0.2:8472', { address: '10.0.0.2', port: 8472 }],
    ['fd00::2', { address: 'fd00::2' }],
    ['[FD00::2]:8472', { address: 'fd00::2', port: 8472 }],
    ['[fd00::2]', { address: 'fd00::2' }],
  ])('read %s', (text, vtep) => expect(parseVtep(text)).toEqual(vtep));

  it.each([
    '',
    '10.0.0.2:',
    '10.0.0.2:0',
    '10.0.0.2:65536',
    '[10.0.0.2]:1',
    'fd00::2]:1',
    'host:1',
  ])('refuse %j', (text) => expect(parseVtep(text)).toBeUndefined());

  it('are written with brackets where needed', () => {
    expect(formatVtep({ address: 'fd00::2', port: 1 })).toBe('[fd00::2]:1');
    expect(formatVtep({ address: '10.0.0.2', port: 1 })).toBe('10.0.0.2:1');
    expect(formatVtep({ address: 'fd00::2' })).toBe('fd00::2');
  });
});

describe('network namespaces', () => {
  it('are a name, a path or a process', () => {
    expect(netnsPath('c1')).toBe('/run/netns/c1');
    expect(netnsPath('1234')).toBe('/proc/1234/ns/net');
    expect(netnsPath('/var/run/docker/netns/x')).toBe('/var/run/docker/netns/x');
  });

  it('are shown as they were named', () => {
    for (const text of ['c1', '1234', '/var/run/docker/netns/x']) {
      expect(netnsName(netnsPath(text))).toBe(text);
    }
  });
});
