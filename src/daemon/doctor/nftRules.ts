// The ruleset as `nft --json list ruleset` prints it (libnftables-json(5)). What is not understood is
// `maybe`.

import { isIPv6 } from 'node:net';
import * as z from 'zod';
import {
  type Chain,
  type Datagram,
  every,
  type Match,
  not,
  type Rule,
  type Target,
  within,
} from './firewall.js';

const chainSchema = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  hook: z.string().optional(),
  policy: z.enum(['accept', 'drop']).optional(),
});
const ruleSchema = z.object({
  family: z.string(),
  table: z.string(),
  chain: z.string(),
  handle: z.number(),
  comment: z.string().optional(),
  expr: z.array(z.record(z.string(), z.unknown())),
});
const setSchema = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  elem: z.array(z.unknown()).optional(),
});
const rulesetSchema = z.object({
  nftables: z.array(
    z.object({
      chain: chainSchema.optional(),
      rule: ruleSchema.optional(),
      set: setSchema.optional(),
    }),
  ),
});
const matchSchema = z.object({ op: z.string(), left: z.unknown(), right: z.unknown() });
type NftRule = z.output<typeof ruleSchema>;

/** Families in which datagrams of ours are seen. */
const FAMILIES: Readonly<Record<string, { readonly family?: 4 | 6 }>> = {
  ip: { family: 4 },
  ip6: { family: 6 },
  inet: {},
};

/** Throws when it is no JSON of nft. */
export function nftChains(text: string): Chain[] {
  const { nftables } = rulesetSchema.parse(JSON.parse(text));
  const sets = nftables.flatMap(({ set }) => (set ? [set] : []));
  const rules = nftables.flatMap(({ rule }) => (rule ? [withElements(rule, sets)] : []));
  return nftables
    .flatMap(({ chain }) => (chain && FAMILIES[chain.family] ? [chain] : []))
    .map(({ family, table, name, hook, policy }) => ({
      name: `${family} ${table} ${name}`,
      ...FAMILIES[family],
      ...(hook === undefined ? {} : { hook }),
      ...(policy === undefined ? {} : { policy }),
      rules: rules
        .filter((rule) => rule.family === family && rule.table === table && rule.chain === name)
        .map(ruleOf),
    }));
}

/** Names of sets replaced by what is in them now. */
function withElements(rule: NftRule, sets: readonly z.output<typeof setSchema>[]): NftRule {
  const isIn = (set: z.output<typeof setSchema>) =>
    set.family === rule.family && set.table === rule.table;
  const expr = rule.expr.map((item) => {
    const { match: asked } = item;
    const { data: match } = matchSchema.safeParse(asked);
    const set = sets.find((one) => isIn(one) && match?.right === `@${one.name}`);
    return set?.elem === undefined ? item : { match: { ...match, right: { set: set.elem } } };
  });
  return { ...rule, expr };
}

function ruleOf({ family, table, chain, handle, comment, expr }: NftRule): Rule {
  const said = comment === undefined ? '' : ` "${comment}"`;
  return {
    text: `nft rule ${family} ${table} ${chain} handle ${handle}${said}`,
    matches: (datagram) => every(expr.map((item) => matchOf(item, datagram))),
    target: targetOf(expr, `${family} ${table}`),
  };
}

function targetOf(expr: NftRule['expr'], table: string): Target {
  for (const item of expr) {
    if ('accept' in item) return { kind: 'accept' };
    if ('drop' in item || 'reject' in item) return { kind: 'drop' };
    if ('return' in item) return { kind: 'return' };
    for (const kind of ['jump', 'goto'] as const) {
      const { data } = z.object({ target: z.string() }).safeParse(item[kind]);
      if (data) return { kind, chain: `${table} ${data.target}` };
    }
    const { xt } = item;
    const { data: foreign } = xtSchema.safeParse(xt);
    if (foreign?.type === 'target') return { kind: foreign.name === 'REJECT' ? 'drop' : 'unknown' };
    if (DECIDING.some((word) => word in item)) return { kind: 'unknown' };
  }
  return { kind: 'none' };
}

/** Statements that may end a datagram's way by what they look up. */
const DECIDING = ['vmap', 'queue', 'redirect', 'dnat', 'tproxy', 'synproxy'];
/** Statements that always go on to the next, or are the target. */
const ALWAYS = [
  ...['counter', 'log', 'mangle', 'notrack', 'snat', 'masquerade'],
  ...['accept', 'drop', 'reject', 'return', 'jump', 'goto'],
  ...DECIDING,
];

function matchOf(item: NftRule['expr'][number], datagram: Datagram): Match {
  const { xt: foreign, match } = item;
  const { data: xt } = xtSchema.safeParse(foreign);
  // A comment of iptables, or what it does.
  if (xt?.type === 'target' || xt?.name === 'comment') return 'yes';
  const { data } = matchSchema.safeParse(match);
  if (data === undefined) return ALWAYS.some((word) => word in item) ? 'yes' : 'maybe';
  const holds = holdsOf(data, datagram);
  if (data.op === '!=') return not(holds);
  return data.op === '==' || data.op === 'in' ? holds : 'maybe';
}

const xtSchema = z.object({ type: z.string(), name: z.string() });
const leftSchema = z.object({
  payload: z.object({ protocol: z.string(), field: z.string() }).optional(),
  meta: z.object({ key: z.string() }).optional(),
  ct: z.object({ key: z.string() }).optional(),
});

/** Whether what stands left is one of what stands right. */
function holdsOf(match: z.output<typeof matchSchema>, datagram: Datagram): Match {
  const { data: left } = leftSchema.safeParse(match.left);
  const values = valuesOf(match.right);
  const { payload, meta, ct } = left ?? {};
  if (payload !== undefined) return payloadHolds(payload, values, datagram);
  if (ct?.key === 'state') return oneOf(values, (value) => value === 'new');
  if (meta === undefined) return 'maybe';
  const isV6 = isIPv6(datagram.address);
  const own: Readonly<Record<string, readonly unknown[]>> = {
    l4proto: ['udp', 17],
    nfproto: isV6 ? ['ipv6', 10] : ['ipv4', 2],
    protocol: isV6 ? ['ip6', 'ipv6'] : ['ip', 'ipv4'],
    [datagram.direction === 'in' ? 'iifname' : 'oifname']: [datagram.ifname],
    [datagram.direction === 'in' ? 'iif' : 'oif']: [datagram.ifname],
  };
  const known = own[meta.key];
  if (known === undefined) return 'maybe';
  // `eth*` stands for many.
  if (values.some((value) => typeof value === 'string' && value.endsWith('*'))) return 'maybe';
  return oneOf(values, (value) => known.includes(value));
}

function payloadHolds(
  { protocol, field }: { readonly protocol: string; readonly field: string },
  values: readonly unknown[],
  { direction, udpPort, address, peer }: Datagram,
): Match {
  if (['tcp', 'sctp', 'dccp', 'icmp', 'icmpv6', 'udplite', 'esp', 'ah'].includes(protocol))
    return 'no';
  if ((protocol === 'udp' || protocol === 'th') && field === 'dport')
    return oneOf(values, (value) => value === udpPort || isWithin(value, udpPort));
  const family = isIPv6(address) ? 'ip6' : 'ip';
  if (protocol !== 'ip' && protocol !== 'ip6') return 'maybe';
  if (protocol !== family) return 'no';
  if (field === 'protocol' || field === 'nexthdr') return oneOf(values, (value) => value === 'udp');
  const own = direction === 'in' ? 'daddr' : 'saddr';
  const subject = field === own ? address : peer;
  if ((field !== 'saddr' && field !== 'daddr') || subject === undefined) return 'maybe';
  return oneOf(values, (value) => covers(value, subject));
}

/** `maybe` where a value is a name or a form that is not known here. */
function oneOf(values: readonly unknown[], holds: (value: unknown) => boolean): Match {
  if (values.some(holds)) return 'yes';
  const isPlain = (value: unknown) =>
    typeof value === 'number' ||
    (typeof value === 'string' && !value.startsWith('@')) ||
    rangeSchema.safeParse(value).success ||
    prefixSchema.safeParse(value).success;
  return values.length > 0 && values.every(isPlain) ? 'no' : 'maybe';
}

const rangeSchema = z.object({ range: z.tuple([z.number(), z.number()]) });
const prefixSchema = z.object({ prefix: z.object({ addr: z.string(), len: z.number() }) });

function isWithin(value: unknown, port: number): boolean {
  const { data } = rangeSchema.safeParse(value);
  return data !== undefined && data.range[0] <= port && port <= data.range[1];
}

function covers(value: unknown, address: string): boolean {
  if (value === address) return true;
  const { data } = prefixSchema.safeParse(value);
  return data !== undefined && within(`${data.prefix.addr}/${data.prefix.len}`, address) === 'yes';
}

/** The right side as a list: a set's elements, a list's, or itself. */
function valuesOf(right: unknown): readonly unknown[] {
  const { data } = z.object({ set: z.array(z.unknown()) }).safeParse(right);
  if (data !== undefined) return data.set;
  return Array.isArray(right) ? right : [right];
}
