import { describe, expect, it } from 'vitest';
import { completeFlow, type Knowledge } from '../../../src/model/flowDefaults.js';
import { frameOf } from '../../../src/model/flowFrame.js';
import { parseFlow } from '../../../src/model/flowText.js';
import { summaryOf } from '../../../src/model/frameSummary.js';
import { parseCidr } from '../../../src/model/ip.js';
import { parseMac } from '../../../src/model/mac.js';
import { arp, ethernet, icmpEcho, ipv4, ipv6, tcp, udp } from '../../support/frames.js';

const A = '02:42:0a:00:00:01';
const B = '02:42:0a:00:00:02';

function station(mac: string, known: string, ...addresses: string[]) {
  const parsed = parseMac(mac);
  if (parsed === undefined) throw new Error(mac);
  const ips = addresses.flatMap((text) => parseCidr(text) ?? []);
  return { mac: parsed, known, ips };
}

const c1 = station(A, 'port c1', '10.0.0.1/24', 'fd00:10::1/64');
const c2 = station(B, 'the neighbor table', '10.0.0.2/32', 'fd00:10::2/128');
const knowledge: Knowledge = { entry: 'port c1', senders: [c1], stations: [c1, c2] };

function made(text: string, known = knowledge) {
  const { flow, assumed } = completeFlow(text, parseFlow(text), known);
  const frame = frameOf(flow);
  if (frame === undefined) throw new Error(`no frame: ${text}`);
  return { frame: Buffer.from(frame), assumed };
}

const v4 = { src: '10.0.0.1', dst: '10.0.0.2' };
const v6 = { src: 'fd00:10::1', dst: 'fd00:10::2' };

describe('a flow becomes a frame', () => {
  const none = new Uint8Array();
  const syn = { flags: 2, sequence: 1, options: Buffer.from([2, 4, 1460 >> 8, 1460 & 255]) };

  it.each([
    [
      'ip src 10.0.0.1 dst 10.0.0.2 tcp sport 5 dport 80 syn',
      ethernet(
        { src: A, dst: B },
        ipv4({ ...v4, protocol: 6 }, tcp(v4, { sourcePort: 5, destinationPort: 80, ...syn }, none)),
      ),
    ],
    [
      'dst 10.0.0.2 udp sport 5 dport 53 tos 0x28 ttl 9 df vlan 10 pcp 3 len 100',
      ethernet(
        { src: A, dst: B, tags: [{ vid: 10, pcp: 3 }] },
        ipv4(
          { ...v4, protocol: 17, tos: 0x28, ttl: 9, dontFragment: true },
          udp(v4, { sourcePort: 5, destinationPort: 53 }, new Uint8Array(100 - 18 - 28)),
        ),
      ),
    ],
    [
      'icmp dst 10.0.0.2 dscp 46 ecn 1',
      ethernet(
        { src: A, dst: B },
        ipv4(
          { ...v4, protocol: 1, tos: (46 << 2) | 1 },
          icmpEcho(v4, { type: 'request', id: 1, sequence: 1 }, none),
        ),
      ),
    ],
    [
      'ip6 dst fd00:10::2 icmp6 reply tos 255 len 63',
      ethernet(
        { src: A, dst: B },
        ipv6(
          { ...v6, nextHeader: 58, trafficClass: 255 },
          icmpEcho(v6, { type: 'reply', id: 1, sequence: 1 }, new Uint8Array(1)),
        ),
      ),
    ],
    [
      'arp who-has 10.0.0.2 tell 10.0.0.1',
      ethernet(
        { src: A, dst: 'ff:ff:ff:ff:ff:ff', type: 0x0806 },
        arp({ op: 1, senderMac: A, senderIp: '10.0.0.1', targetIp: '10.0.0.2' }),
      ),
    ],
    [
      'arp reply 10.0.0.7 is-at 02:00:00:00:00:07 tell 10.0.0.2',
      ethernet(
        { src: A, dst: B, type: 0x0806 },
        arp({ op: 2, senderMac: '02:00:00:00:00:07', senderIp: '10.0.0.7', targetIp: '10.0.0.2' }),
      ),
    ],
    [
      'ether src 02:00:00:00:00:05 dst 02:00:00:00:00:06 type 0x88b5 len 20',
      ethernet(
        { src: '02:00:00:00:00:05', dst: '02:00:00:00:00:06', type: 0x88b5 },
        new Uint8Array(6),
      ),
    ],
    ['ip dst 10.0.0.2 proto 47', ethernet({ src: A, dst: B }, ipv4({ ...v4, protocol: 47 }, none))],
  ])('%s', (text, frame) => {
    expect(made(text).frame.toString('hex')).toBe(Buffer.from(frame).toString('hex'));
  });

  it.each([
    ['ip dst 224.0.0.251 udp', '01:00:5e:00:00:fb'],
    ['ip dst 239.129.2.3 udp', '01:00:5e:01:02:03'],
    ['ip6 dst ff02::fb udp', '33:33:00:00:00:fb'],
    ['ip dst 10.0.0.255 udp', 'ff:ff:ff:ff:ff:ff'],
    ['ip dst 255.255.255.255 udp', 'ff:ff:ff:ff:ff:ff'],
    ['nd fd00:10::1:2', '33:33:ff:01:00:02'],
    ['nd reply fd00:10::1', '33:33:00:00:00:01'],
    ['ip6 ether dst 33:33:00:00:00:01', '33:33:00:00:00:01'],
  ])('%s goes to %s', (text, mac) => {
    expect(summaryOf(made(text).frame)).toContain(`> ${mac}`);
  });

  it('tells what it filled in', () => {
    expect(made('ip dst 10.0.0.2 tcp dport 80').assumed).toEqual([
      'No source address was said: it is 10.0.0.1, from port c1.',
      'No source port was said: it is TCP 50000.',
      'No flags were said: it is a SYN, the first segment.',
      `No source MAC was said: it is ${A}, from port c1.`,
      `No destination MAC was said: 10.0.0.2 is at ${B}, from the neighbor table.`,
    ]);
    expect(
      made(`ether src ${A} dst ${B} ip src 10.0.0.1 dst 10.0.0.2 tcp sport 1 dport 2 ack`).assumed,
    ).toEqual([]);
  });
});

describe('an address whose MAC nobody knows is asked for first', () => {
  it.each([
    ['ip dst 10.0.0.9 tcp dport 80 len 1514', 'arp 10.0.0.9'],
    ['ip src 10.0.0.7 dst 10.0.0.9 vlan 10', 'arp 10.0.0.9 tell 10.0.0.7 vlan 10'],
    ['ip6 dst fd00:10::9 udp', 'nd fd00:10::9'],
    ['ip6 dst fe80::9 ether src 02:00:00:00:00:09', 'nd fe80::9 ether src 02:00:00:00:00:09'],
  ])('%s: %s', (text, question) => {
    const { frame, assumed } = made(text);
    const asked = made(question);
    expect(frame.toString('hex')).toBe(asked.frame.toString('hex'));
    const [first, ...rest] = assumed;
    expect(first).toMatch(
      /^Nobody here knows which MAC \S+ has, so port c1 would ask first: this is the way of its question\.$/,
    );
    expect(rest).toEqual(asked.assumed);
  });

  it('also by a station of which no subnet is known', () => {
    const silent = station('02:42:0a:00:00:05', 'the FDB');
    const stranger: Knowledge = { entry: 'port c5', senders: [silent], stations: [] };
    expect(summaryOf(made('ip src 10.0.0.5 dst 192.0.2.9', stranger).frame)).toContain(
      'ARP who has 192.0.2.9, tell 10.0.0.5',
    );
  });

  it('which needs to know who asks', () => {
    const stranger: Knowledge = { entry: 'VTEP 10.200.0.2', senders: [], stations: [] };
    expect(() => made('ip dst 10.0.0.9', stranger)).toThrow('say "ip src ADDRESS"');
  });
});

describe('a flow is refused', () => {
  it.each([
    ['', 'it does not say what the frame carries; say "ip dst ADDRESS", "arp ADDRESS" or'],
    ['ip dts 10.0.0.1', '"dts" (word 2) begins no clause; there may stand: ether, vlan'],
    ['ip dst', 'nothing stands behind "dst" (word 2); put an IPv4 address such as 10.0.0.2 there'],
    ['ip dst fd00::1', '"fd00::1" (word 3) does not fit behind "dst"; there may stand: an IPv4'],
    ['ip src 10.0.0.1 dst fd00::1', '"fd00::1" (word 5) does not fit behind "dst"'],
    ['src 10.0.0.1 dst fd00::1', '"dst" (word 3) contradicts "src" (word 1)'],
    ['ether src 10.0.0.1', 'there may stand: a MAC address such as'],
    ['tcp udp', '"udp" (word 2) contradicts "tcp" (word 1); there may stand: only one of them'],
    ['ip icmp6', '"icmp6" (word 2) contradicts "ip" (word 1)'],
    ['ip dst 10.0.0.2 dport 80', '"dport" (word 4) goes with tcp or udp'],
    ['ip dst 10.0.0.2 syn', 'flags of TCP go with tcp'],
    ['ip6 dst fd00::1 df', '"df" (word 4) goes with IPv4'],
    ['tcp dport 65536', '"65536" (word 3) does not fit behind "dport"; there may stand: a number'],
    ['tcp dport -1', '"-1" (word 3) does not fit behind "dport"'],
    ['arp 10.0.0.2 tcp', '"tcp" (word 3) goes with IP'],
    ['arp fd00::1', 'there may stand: an IPv4 address'],
    ['arp 10.0.0.2 nd fd00::2', '"nd" (word 3) contradicts "arp" (word 1)'],
    ['ether type 0x88b5 arp 10.0.0.2', '"type" (word 2) goes with neither ARP nor IP'],
    ['type 0x88b5', '"type" (word 1) goes with ether'],
    ['vlan 1 vlan 2 vlan 3', '"vlan" (word 5) is one too many'],
    ['ip dst 10.0.0.2 tos 4 dscp 1', '"dscp" (word 6) goes with no tos'],
    ['__proto__ constructor', '"__proto__" (word 1) begins no clause'],
  ])('%s', (text, why) => {
    expect(() => parseFlow(text)).toThrow(why);
  });

  it.each([
    [
      'ip dst 192.0.2.9',
      'nobody here knows which MAC 192.0.2.9 has, and it is in no subnet of port c1; say "ether dst MAC" with',
    ],
    ['ip6 dst 2001:db8::9', 'and it is in no subnet of port c1; say "ether dst MAC" with'],
    ['arp reply 10.0.0.1 tell 10.0.0.9', 'which MAC 10.0.0.9 has; say "ether dst MAC"'],
    ['tcp dport 80', 'it does not say where it goes to; say "ip dst ADDRESS"'],
    ['ether type 0x88b5', 'it does not say where it goes to; say "ether dst MAC"'],
  ])('for want of knowledge: %s', (text, why) => {
    expect(() => made(text)).toThrow(why);
  });

  it('names what is not known of the place of entry', () => {
    const stranger: Knowledge = { entry: 'VTEP 10.200.0.2', senders: [], stations: [c1] };
    expect(() => made('ip dst 10.0.0.1', stranger)).toThrow(
      'nobody here knows an IPv4 address of VTEP 10.200.0.2; say "ip src ADDRESS"',
    );
    expect(() => made('ip src 10.0.0.2 dst 10.0.0.1', stranger)).toThrow(
      'nobody here knows a MAC behind VTEP 10.200.0.2; say "ether src MAC"',
    );
  });

  it('is no frame when it shall be shorter than its headers', () => {
    const { flow } = completeFlow('', parseFlow('ip dst 10.0.0.2 tcp len 40'), knowledge);
    expect(frameOf(flow)).toBeUndefined();
  });
});

describe('who is at the place of entry', () => {
  const c3 = station('02:42:0a:00:00:03', 'the neighbor table', '10.0.0.3/32');
  const behind: Knowledge = { entry: 'VTEP 10.200.0.2', senders: [c2, c3], stations: [c1, c2, c3] };

  it('follows from what is said of the source', () => {
    expect(summaryOf(made('ip src 10.0.0.3 dst 10.0.0.1', behind).frame)).toContain(
      `${c3.mac} > ${A}`,
    );
    expect(summaryOf(made(`ether src ${c3.mac} ip dst 10.0.0.1`, behind).frame)).toContain(
      'IPv4 10.0.0.3 > 10.0.0.1',
    );
    expect(summaryOf(made('ip dst 10.0.0.1', behind).frame)).toContain(
      `${B} > ${A}, IPv4 10.0.0.2`,
    );
  });
});

describe('a summary', () => {
  it.each([
    ['ip dst 10.0.0.2 tcp syn ack', 'IPv4 10.0.0.1 > 10.0.0.2, TCP 50000 > 80 SYN ACK, 58 bytes'],
    ['arp 10.0.0.2', 'ARP who has 10.0.0.2, tell 10.0.0.1, 42 bytes'],
    ['arp reply 10.0.0.2', `ARP reply 10.0.0.2 is at ${A}, 42 bytes`],
    [
      'nd fd00:10::2',
      'IPv6 fd00:10::1 > ff02::1:ff00:2, ICMPv6 neighbor solicitation for fd00:10::2',
    ],
    [`ether dst ${B} type 0x88b5 vlan 7`, 'VLAN 7 PCP 0, ethertype 0x88b5, 18 bytes'],
  ])('%s', (text, summary) => {
    expect(summaryOf(made(text).frame)).toContain(summary);
  });
});
