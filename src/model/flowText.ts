// Flows in words, as tcpdump and Open vSwitch have them: `ip src 10.0.0.1 dst 10.0.0.2 tcp dport 80`. Clauses may
// stand in any order. Every refusal names the word, where it stands, and what may stand there.

import { SwitchError } from './error.js';
import { type Flow, type IpPacket, TCP_FLAGS, type Transport, type VlanTag } from './flow.js';
import { type Family, type Ip, parseIp } from './ip.js';
import { type Mac, parseMac } from './mac.js';

/** Reads a flow. Throws BAD_FLOW. */
export function parseFlow(text: string): Flow {
  const reader = new Reader(text);
  for (let word = reader.next(); word !== undefined; word = reader.next()) {
    const clause = Object.hasOwn(clauses, word.text) ? clauses[word.text] : undefined;
    if (clause === undefined) throw reader.refusal(word, 'begins no clause', CLAUSES);
    clause(reader, word);
  }
  return flowOf(reader);
}

/** A word and its place, from 1 on. */
interface Word {
  readonly text: string;
  readonly place: number;
}

/** What the words have said so far. */
interface Said {
  etherSrc: Mac;
  etherDst: Mac;
  etherType: number;
  family: Family;
  src: Ip;
  dst: Ip;
  tos: number;
  dscp: number;
  ecn: number;
  ttl: number;
  df: true;
  transport: 'tcp' | 'udp' | 'echo' | 'protocol';
  protocol: number;
  sport: number;
  dport: number;
  flags: number;
  reply: boolean;
  resolution: 'arp' | 'nd';
  asked: Ip;
  isAt: Mac;
  tell: Ip;
  length: number;
}

/** Goes through the words once and keeps what they say. */
class Reader {
  readonly #text: string;
  readonly #words: readonly Word[];
  #at = 0;
  /** What `src` and `dst` are about; absent = whatever their address is. */
  layer: 'ether' | Family | undefined;
  readonly said: Partial<Said> = {};
  readonly tags: VlanTag[] = [];
  readonly #saidBy = new Map<keyof Said, Word>();

  constructor(text: string) {
    this.#text = text.trim();
    this.#words = this.#text
      .split(/[\s,]+/)
      .filter((word) => word !== '')
      .map((word, at) => ({ text: word.toLowerCase(), place: at + 1 }));
  }

  next(): Word | undefined {
    const word = this.#words[this.#at];
    this.#at += 1;
    return word;
  }

  /** The next word is this one, and is taken. */
  has(text: string): boolean {
    const is = this.#words[this.#at]?.text === text;
    if (is) this.#at += 1;
    return is;
  }

  /** The next word as `parse` reads it: what belongs behind `before`. */
  take<T>(before: Word, allowed: string, parse: (text: string) => T | undefined): T {
    const word = this.next();
    if (word === undefined) {
      const why = `nothing stands behind "${before.text}" (word ${before.place})`;
      throw new SwitchError('BAD_FLOW', this.#text, { why, fix: `put ${allowed} there` });
    }
    const value = parse(word.text);
    if (value === undefined) {
      throw this.refusal(word, `does not fit behind "${before.text}"`, allowed);
    }
    return value;
  }

  number(before: Word, min: number, max: number): number {
    return this.take(before, `a number from ${min} to ${max}`, (text) => {
      const number = /^(\d{1,9}|0x[0-9a-f]{1,8})$/.test(text) ? Number(text) : Number.NaN;
      return number >= min && number <= max ? number : undefined;
    });
  }

  say<K extends keyof Said>(word: Word, key: K, value: Said[K]): void {
    const earlier = this.#saidBy.get(key);
    if (earlier !== undefined && this.said[key] !== value) {
      const why = `contradicts "${earlier.text}" (word ${earlier.place})`;
      throw this.refusal(word, why, 'only one of them');
    }
    this.#saidBy.set(key, word);
    this.said[key] = value;
  }

  /** `key` goes with the rest only if `fits`. */
  expect(key: keyof Said, fits: boolean, goesWith: string): void {
    const word = this.#saidBy.get(key);
    if (word === undefined || fits) return;
    throw this.refusal(word, `goes with ${goesWith}`, `${goesWith} beside it, or leave it out`);
  }

  refusal(word: Word, why: string, allowed: string): SwitchError {
    return new SwitchError('BAD_FLOW', this.#text, {
      why: `"${word.text}" (word ${word.place}) ${why}`,
      fix: `there may stand: ${allowed}`,
    });
  }

  incomplete(why: string, fix: string): SwitchError {
    return new SwitchError('BAD_FLOW', this.#text, { why, fix });
  }
}

type Clause = (reader: Reader, word: Word) => void;

const clauses: Readonly<Record<string, Clause>> = {
  ether: (reader) => {
    reader.layer = 'ether';
  },
  type: (reader, word) => {
    if (reader.layer !== 'ether') throw reader.refusal(word, 'goes with ether', '"ether type N"');
    reader.say(word, 'etherType', reader.number(word, 0x600, 0xffff));
  },
  ip: (reader, word) => family(reader, word, 4),
  ip4: (reader, word) => family(reader, word, 4),
  ip6: (reader, word) => family(reader, word, 6),
  src: (reader, word) => end(reader, word, 'src'),
  dst: (reader, word) => end(reader, word, 'dst'),
  vlan: (reader, word) => {
    if (reader.tags.length === 2) throw reader.refusal(word, 'is one too many', 'at most two tags');
    reader.tags.push({ vid: reader.number(word, 0, 4095), pcp: 0 });
  },
  pcp: (reader, word) => {
    const tag = reader.tags.pop() ?? { vid: 0, pcp: 0 };
    reader.tags.push({ ...tag, pcp: reader.number(word, 0, 7) });
  },
  tos: (reader, word) => reader.say(word, 'tos', reader.number(word, 0, 255)),
  dscp: (reader, word) => reader.say(word, 'dscp', reader.number(word, 0, 63)),
  ecn: (reader, word) => reader.say(word, 'ecn', reader.number(word, 0, 3)),
  ttl: (reader, word) => reader.say(word, 'ttl', reader.number(word, 0, 255)),
  df: (reader, word) => reader.say(word, 'df', true),
  proto: (reader, word) => {
    reader.say(word, 'transport', 'protocol');
    reader.say(word, 'protocol', reader.number(word, 0, 255));
  },
  tcp: (reader, word) => reader.say(word, 'transport', 'tcp'),
  udp: (reader, word) => reader.say(word, 'transport', 'udp'),
  sport: (reader, word) => reader.say(word, 'sport', reader.number(word, 0, 65535)),
  dport: (reader, word) => reader.say(word, 'dport', reader.number(word, 0, 65535)),
  icmp: (reader, word) => echo(reader, word, 4),
  icmp6: (reader, word) => echo(reader, word, 6),
  arp: (reader, word) => resolution(reader, word, 'arp'),
  nd: (reader, word) => resolution(reader, word, 'nd'),
  len: (reader, word) => reader.say(word, 'length', reader.number(word, 14, 65_535)),
  ...Object.fromEntries(
    Object.entries(TCP_FLAGS).map(([name, bit]): [string, Clause] => [
      name,
      // Flags add up.
      (reader) => {
        reader.said.flags = (reader.said.flags ?? 0) | bit;
      },
    ]),
  ),
};

const CLAUSES =
  'ether, vlan, pcp, ip, ip6, src, dst, tcp, udp, icmp, icmp6, arp, nd, sport, dport, tos, dscp, ecn, ttl, df, proto, len or a flag of TCP';

function family(reader: Reader, word: Word, value: Family): void {
  reader.layer = value;
  reader.say(word, 'family', value);
}

function end(reader: Reader, word: Word, which: 'src' | 'dst'): void {
  const value = addressOf(reader, word);
  if (typeof value === 'string') {
    reader.say(word, which === 'src' ? 'etherSrc' : 'etherDst', value);
  } else {
    reader.say(word, 'family', value.family);
    reader.say(word, which, value);
  }
}

/** Of the layer that was named last; before any, of that which it looks like. */
function addressOf(reader: Reader, word: Word): Mac | Ip {
  const { layer } = reader;
  if (layer === 'ether') return reader.take(word, `a MAC address such as ${A_MAC}`, parseMac);
  if (layer !== undefined) return ipOf(reader, word, layer);
  const either = `an IP or MAC address such as ${AN_IP[4]} or ${A_MAC}`;
  return reader.take(word, either, (text) => parseMac(text) ?? parseIp(text));
}

function ipOf(reader: Reader, word: Word, family: Family): Ip {
  return reader.take(word, `an IPv${family} address such as ${AN_IP[family]}`, (text) => {
    const ip = parseIp(text);
    return ip?.family === family ? ip : undefined;
  });
}

function echo(reader: Reader, word: Word, value: Family): void {
  reader.say(word, 'transport', 'echo');
  reader.say(word, 'family', value);
  const reply = reader.has('reply');
  if (!reply) reader.has('request');
  reader.say(word, 'reply', reply);
}

/** `arp [who-has] A [tell B]`, `arp reply A [is-at MAC] [tell B]`; and the same with `nd`. */
function resolution(reader: Reader, word: Word, kind: 'arp' | 'nd'): void {
  const family = kind === 'arp' ? 4 : 6;
  reader.say(word, 'resolution', kind);
  const reply = reader.has('reply');
  if (!reply) reader.has('who-has');
  reader.say(word, 'reply', reply);
  reader.say(word, 'asked', ipOf(reader, word, family));
  if (reply && reader.has('is-at')) {
    reader.say(word, 'isAt', reader.take(word, `a MAC address such as ${A_MAC}`, parseMac));
  }
  if (reader.has('tell')) reader.say(word, 'tell', ipOf(reader, word, family));
  reader.layer = undefined;
}

function flowOf(reader: Reader): Flow {
  const { etherSrc, etherDst, length, etherType, resolution: kind, asked } = reader.said;
  const { reply = false, isAt, tell, ...said } = reader.said;
  const common = { etherSrc, etherDst, tags: reader.tags, length };
  const isIp = kind === undefined && etherType === undefined;
  for (const key of IP_KEYS) reader.expect(key, isIp, 'IP');
  if (kind !== undefined && asked !== undefined) {
    reader.expect('etherType', false, 'neither ARP nor IP');
    return { ...common, packet: { kind, reply, ip: asked, mac: isAt, tell } };
  }
  if (etherType !== undefined) return { ...common, packet: { kind: 'other', type: etherType } };
  if (Object.keys(said).every((key) => NOT_IP.has(key))) {
    throw reader.incomplete(
      'it does not say what the frame carries',
      'say "ip dst ADDRESS", "arp ADDRESS" or "ether type N"',
    );
  }
  return { ...common, packet: ipPacketOf(reader) };
}

function ipPacketOf(reader: Reader): IpPacket {
  const { family, src, dst, tos, dscp = 0, ecn = 0, ttl = 64, df = false } = reader.said;
  reader.expect('dscp', tos === undefined, 'no tos');
  reader.expect('ecn', tos === undefined, 'no tos');
  reader.expect('df', family !== 6, 'IPv4');
  const transport = transportOf(reader);
  return { kind: 'ip', family, src, dst, tos: tos ?? (dscp << 2) | ecn, ttl, df, transport };
}

function transportOf(reader: Reader): Transport | undefined {
  const { transport, sport, dport, flags, reply = false, protocol = 0 } = reader.said;
  const hasPorts = transport === 'tcp' || transport === 'udp';
  reader.expect('sport', hasPorts, 'tcp or udp');
  reader.expect('dport', hasPorts, 'tcp or udp');
  if (flags !== undefined && transport !== 'tcp') {
    throw reader.incomplete('flags of TCP go with tcp', 'say tcp beside them, or leave them out');
  }
  switch (transport) {
    case undefined:
      return undefined;
    case 'tcp':
      return { kind: 'tcp', sport, dport, flags };
    case 'udp':
      return { kind: 'udp', sport, dport };
    case 'echo':
      return { kind: 'echo', reply };
    case 'protocol':
      return { kind: 'protocol', number: protocol };
  }
}

const A_MAC = '02:42:0a:00:00:02';
const AN_IP = { 4: '10.0.0.2', 6: 'fd00::2' } as const;
const IP_KEYS = [
  ...(['family', 'src', 'dst', 'tos', 'dscp', 'ecn', 'ttl', 'df'] as const),
  ...(['transport', 'sport', 'dport'] as const),
];
const NOT_IP = new Set(['etherSrc', 'etherDst', 'length', 'flags']);
