import { BlockList } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { contains, formatCidr, parseCidr, parseIp, subnetOf } from '../../src/model/ip.js';
import { parseMac } from '../../src/model/mac.js';
import { netnsName, netnsPath } from '../../src/model/netns.js';
import { firstFreeVni, parseVni } from '../../src/model/vni.js';
import { formatVtep, parseVtep } from '../../src/model/vtep.js';
import { mac } from '../support/arbitrary.js';

const ip = fc.oneof(fc.ipV4(), fc.ipV6()).filter((text) => parseIp(text) !== undefined);

it('MACs: format after parse is canonical and parses to itself', () => {
  fc.assert(
    fc.property(mac, fc.boolean(), fc.boolean(), (text, upper, hyphens) => {
      const written = (upper ? text.toUpperCase() : text).replaceAll(':', hyphens ? '-' : ':');
      expect(parseMac(written)).toBe(text);
    }),
  );
});

it('addresses: the canonical text parses to itself, and equal addresses are equal texts', () => {
  fc.assert(
    fc.property(ip, (text) => {
      const parsed = parseIp(text)!;
      expect(parseIp(parsed.address)).toEqual(parsed);
      expect(parseIp(text.toUpperCase())).toEqual(parsed);
    }),
  );
});

it('prefixes: format after parse parses to itself', () => {
  fc.assert(
    fc.property(ip, fc.nat(128), (text, prefix) => {
      const cidr = parseCidr(`${text}/${prefix}`);
      expect(cidr === undefined).toBe(parseIp(text)!.family === 4 && prefix > 32);
      if (cidr !== undefined) expect(parseCidr(formatCidr(cidr))).toEqual(cidr);
    }),
  );
});

it('subnets contain what the operating system says they contain', () => {
  fc.assert(
    fc.property(ip, ip, fc.nat(128), (text, near, bits) => {
      const a = parseIp(text)!;
      const prefix = a.family === 4 ? bits % 33 : bits;
      const subnet = { ...a, prefix };
      const oracle = new BlockList();
      oracle.addSubnet(a.address, prefix, a.family === 4 ? 'ipv4' : 'ipv6');
      for (const other of [a, parseIp(near)!, subnetOf(subnet)]) {
        const inside =
          other.family === a.family &&
          oracle.check(other.address, other.family === 4 ? 'ipv4' : 'ipv6');
        expect(contains(subnet, other), other.address).toBe(inside);
      }
    }),
  );
});

it('VTEPs: parse after format is the same VTEP', () => {
  const port = fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined });
  fc.assert(
    fc.property(ip, port, (text, number) => {
      const vtep = {
        address: parseIp(text)!.address,
        ...(number === undefined ? {} : { port: number }),
      };
      expect(parseVtep(formatVtep(vtep))).toEqual(vtep);
    }),
  );
});

it('namespaces: the short name leads to the same path', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ minLength: 1 }), fc.nat().map(String)), (text) => {
      const path = netnsPath(text);
      expect(netnsPath(netnsName(path))).toBe(path);
    }),
  );
});

it('no text makes a parser throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const parse of [parseMac, parseIp, parseCidr, parseVni, parseVtep]) parse(text);
    }),
  );
});

it('VNIs: decimal text of 0 to 16777215 and nothing else', () => {
  fc.assert(
    fc.property(fc.integer(), (number) => {
      expect(parseVni(String(number))).toBe(number >= 0 && number <= 0xffffff ? number : undefined);
    }),
  );
});

it('the first free VNI is free, and all below are taken', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 250, max: 290 })), (taken) => {
      const set = new Set(taken);
      const free = firstFreeVni(set)!;
      expect(set.has(free)).toBe(false);
      for (let vni = 256; vni < free; vni++) expect(set.has(vni)).toBe(true);
    }),
  );
});
