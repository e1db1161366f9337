/** Flows of any kind become frames that add up; any other text is refused in a sentence. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SwitchError } from '../../src/model/error.js';
import { completeFlow, type Knowledge } from '../../src/model/flowDefaults.js';
import { frameOf } from '../../src/model/flowFrame.js';
import { parseFlow } from '../../src/model/flowText.js';
import { summaryOf } from '../../src/model/frameSummary.js';
import { parseCidr } from '../../src/model/ip.js';
import { parseMac } from '../../src/model/mac.js';
import { internetChecksum } from '../support/frames.js';

const cidr = (text: string) => parseCidr(text) ?? expect.fail(text);
const known = (text: string) => parseMac(text) ?? expect.fail(text);
const here = {
  ...{ mac: known('02:42:0a:00:00:01'), known: 'port c1' },
  ips: [cidr('10.0.0.1/24'), cidr('fd00:10::1/64')],
};
const knowledge: Knowledge = { entry: 'port c1', senders: [here], stations: [here] };

const u16 = fc.nat(65_535);
const maybe = (arbitrary: fc.Arbitrary<string>) => fc.oneof(fc.constant(''), arbitrary);
const word = (name: string, max: number) => maybe(fc.nat(max).map((n) => `${name} ${n}`));
const transport = (family: 4 | 6) =>
  fc.oneof(
    fc
      .tuple(u16, u16, fc.subarray(['syn', 'ack', 'fin', 'rst', 'psh']))
      .map(([s, d, flags]) => ['tcp sport', s, 'dport', d, ...flags].join(' ')),
    fc.tuple(u16, u16).map(([s, d]) => `udp sport ${s} dport ${d}`),
    fc.constantFrom(...(family === 4 ? ['icmp', 'icmp reply'] : ['icmp6', 'icmp6 reply'])),
  );
const clauses = (family: 4 | 6) =>
  fc
    .tuple(
      fc.constantFrom(family === 4 ? 'ip dst 10.0.0.9' : 'ip6 dst fd00:10::9'),
      fc.constant('ether dst 02:42:0a:00:00:09'),
      transport(family),
      fc.tuple(word('dscp', 63), word('ecn', 3)).map((both) => both.join(' ').trim()),
      word('ttl', 255),
      fc.tuple(word('vlan', 4095), word('pcp', 7)).map((both) => both.join(' ').trim()),
      maybe(fc.integer({ min: 120, max: 9000 }).map((n) => `len ${n}`)),
      family === 4 ? maybe(fc.constant('df')) : fc.constant(''),
    )
    .chain((parts) => fc.shuffledSubarray(parts, { minLength: parts.length }))
    .map((parts) => parts.filter((part) => part !== '').join(' '));

/** Frame by frame, without looking at how they were made: lengths and checksums of RFC 791, 768, 8200, 9293. */
function isSound(frame: Buffer): boolean {
  let at = 12;
  while (frame.readUInt16BE(at) === 0x8100) at += 4;
  const packet = frame.subarray(at + 2);
  const v4 = (packet[0] ?? 0) >> 4 === 4;
  const payload = packet.subarray(v4 ? 20 : 40);
  const addresses = v4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
  const protocol = packet[v4 ? 9 : 6] ?? 0;
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(payload.length);
  pseudo.writeUInt32BE(protocol, 4);
  const covered = protocol === 1 ? payload : Buffer.concat([addresses, pseudo, payload]);
  return (
    (v4 ? packet.readUInt16BE(2) === packet.length : packet.readUInt16BE(4) === payload.length) &&
    (!v4 || internetChecksum(packet.subarray(0, 20)) === 0) &&
    internetChecksum(covered) === 0 &&
    (protocol !== 17 || payload.readUInt16BE(4) === payload.length)
  );
}

describe('flows', () => {
  it('become sound frames of the length that was said, in whatever order', () => {
    fc.assert(
      fc.property(fc.oneof(clauses(4), clauses(6)), (text) => {
        const frame = frameOf(completeFlow(text, parseFlow(text), knowledge).flow);
        const length = /len (\d+)/.exec(text)?.[1];
        expect(frame && isSound(Buffer.from(frame)), text).toBe(true);
        if (length !== undefined) expect(frame?.length).toBe(Number(length));
      }),
      { numRuns: 500 },
    );
  });

  it('are read or refused in a sentence', () => {
    const words = fc.constantFrom(
      ...['ip', 'ip6', 'src', 'dst', 'tcp', 'syn', 'arp', 'nd', 'reply', 'is-at', 'tell', 'ether'],
      ...['type', '0x800', 'vlan', '7', 'pcp', 'len', '10.0.0.1', 'fd00:10::2', 'icmp', 'dport'],
      ...['02:42:0a:00:00:02', 'ttl', 'tos', 'df', 'proto', 'constructor', '\u001b[2J', '-'],
    );
    const texts = fc.oneof(
      fc.array(words, { maxLength: 12 }).map((list) => list.join(' ')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          frameOf(completeFlow(text, parseFlow(text), knowledge).flow);
        } catch (error) {
          expect(error).toBeInstanceOf(SwitchError);
          expect((error as SwitchError).code).toBe('BAD_FLOW');
          expect((error as SwitchError).message).toMatch(/^cannot trace "[^\n]*": [^\n]+; [^\n]+$/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

it('any bytes have a summary of one line', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom(0, 0x800, 0x806, 0x8100, 0x86dd),
      (bytes, type) => {
        const frame = Buffer.from(bytes);
        if (type !== 0 && frame.length >= 14) frame.writeUInt16BE(type, 12);
        expect(summaryOf(frame)).toMatch(/^[\x20-\x7e]*, \d+ bytes$/);
      },
    ),
    { numRuns: 2000 },
  );
});
