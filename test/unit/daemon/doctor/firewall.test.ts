/** Recorded rulesets: what is sure is said, and nothing else. */

import { describe, expect, it } from 'vitest';
import { type Datagram, fateOf } from '../../../../src/daemon/doctor/firewall.js';
import { iptablesChains } from '../../../../src/daemon/doctor/iptablesRules.js';
import { nftChains } from '../../../../src/daemon/doctor/nftRules.js';

const FROM_ANY: Datagram = {
  direction: 'in',
  udpPort: 4789,
  address: '10.200.0.1',
  ifname: 'eth0',
};

/** nftables 1.0.6: a chain `input` of table inet filter with these rules. */
function nft(policy: 'accept' | 'drop', ...rules: readonly (readonly object[])[]) {
  const at = { family: 'inet', table: 'filter' };
  const chain = { ...at, name: 'input', handle: 1, type: 'filter', hook: 'input', prio: 0, policy };
  const peers = { ...at, name: 'peers', type: 'ipv4_addr', handle: 3, elem: ['10.200.0.2'] };
  const objects = [
    { metainfo: { version: '1.0.6', release_name: 'Lester Gooch #5', json_schema_version: 1 } },
    { table: { family: 'inet', name: 'filter', handle: 1 } },
    { set: peers },
    { chain },
    { chain: { ...at, name: 'other', handle: 2 } },
    ...rules.map((expr, n) => ({ rule: { ...at, chain: 'input', handle: n + 4, expr } })),
    {
      rule: {
        ...{ ...at, chain: 'other', handle: 99, comment: 'no tunnels' },
        expr: [dport({ range: [4000, 5000] }), { counter: { packets: 0, bytes: 0 } }, DROP],
      },
    },
  ];
  return nftChains(JSON.stringify({ nftables: objects }));
}

const DROP = { drop: null };
const ACCEPT = { accept: null };
const match = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } });
const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const dport = (right: unknown, op = '==') => match(payload('udp', 'dport'), right, op);
const ESTABLISHED = match({ ct: { key: 'state' } }, ['established', 'related'], 'in');
const LOOPBACK = match({ meta: { key: 'iifname' } }, 'lo');
const FROM_PEERS = match(payload('ip', 'saddr'), '@peers');

describe('nftables', () => {
  it.each([
    ['no rules', nft('accept'), 'passes'],
    ['a rule for the port', nft('accept', [dport(4789), DROP]), 'drops'],
    ['a set', nft('accept', [dport({ set: [53, 4789] }), { reject: {} }]), 'drops'],
    ['another port', nft('accept', [dport(8472), DROP]), 'passes'],
    ['all but the port', nft('accept', [dport(4789, '!='), DROP]), 'passes'],
    ['another protocol', nft('accept', [match(payload('tcp', 'dport'), 4789), DROP]), 'passes'],
    ['a policy', nft('drop', [ESTABLISHED, ACCEPT], [LOOPBACK, ACCEPT]), 'drops'],
    ['a policy with an exception', nft('drop', [dport(4789), ACCEPT]), 'passes'],
    ['an exception that came first', nft('accept', [dport(4789), ACCEPT], [DROP]), 'passes'],
    ['a chain', nft('accept', [{ jump: { target: 'other' } }]), 'drops'],
    ['a chain for others', nft('accept', [LOOPBACK, { jump: { target: 'other' } }]), 'passes'],
    ['an unknown match', nft('accept', [{ xt: { type: 'match', name: 'u32' } }, DROP]), 'depends'],
    ['REJECT of iptables', nft('accept', [{ xt: { type: 'target', name: 'REJECT' } }]), 'drops'],
    ['a limit', nft('drop', [{ limit: { rate: 3, per: 'second' } }, ACCEPT]), 'depends'],
    ['peers alone', nft('drop', [FROM_PEERS, dport(4789), ACCEPT]), 'depends'],
    ['our address', nft('accept', [match(payload('ip', 'daddr'), '10.200.0.1'), DROP]), 'drops'],
    [
      'our subnet',
      nft('accept', [
        match(payload('ip', 'daddr'), { prefix: { addr: '10.200.0.0', len: 16 } }),
        DROP,
      ]),
      'drops',
    ],
    ['IPv6 alone', nft('accept', [match(payload('ip6', 'nexthdr'), 'udp'), DROP]), 'passes'],
    ['a verdict map', nft('drop', [{ vmap: { key: {}, data: {} } }]), 'depends'],
  ])('%s', (_what, chains, fate) => {
    expect(fateOf(chains, FROM_ANY).fate).toBe(fate);
  });

  it('knows a peer that is in a set, and one that is not', () => {
    const chains = nft('drop', [FROM_PEERS, dport(4789), ACCEPT]);
    expect(fateOf(chains, { ...FROM_ANY, peer: '10.200.0.2' })).toEqual({ fate: 'passes' });
    expect(fateOf(chains, { ...FROM_ANY, peer: '10.200.0.3' })).toEqual({
      fate: 'drops',
      rule: 'policy drop of chain inet filter input',
    });
  });

  it('names the rule by its chain, its handle and its comment', () => {
    const chains = nft('accept', [{ jump: { target: 'other' } }]);
    expect(fateOf(chains, FROM_ANY)).toEqual({
      fate: 'drops',
      rule: 'nft rule inet filter other handle 99 "no tunnels"',
    });
  });

  it('does not end in chains that jump in a circle', () => {
    const circle = [{ jump: { target: 'input' } }];
    expect(fateOf(nft('accept', circle), FROM_ANY).fate).toBe('passes');
  });

  it('is of its own family', () => {
    const at = { family: 'ip6', table: 'filter', name: 'input' };
    const chain = { ...at, handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'drop' };
    const chains = nftChains(JSON.stringify({ nftables: [{ chain }] }));
    expect(fateOf(chains, FROM_ANY).fate).toBe('passes');
    expect(fateOf(chains, { ...FROM_ANY, address: 'fd00::1' }).fate).toBe('drops');
  });

  it('refuses what is no answer of nft', () => {
    expect(() => nftChains('{"nftables": [{"rule": {"expr": 1}}]}')).toThrow();
    expect(() => nftChains('Error: syntax')).toThrow();
  });

  it('what goes out is asked of the hooks on its way', () => {
    const chains = nft('accept', [dport(4789), DROP]);
    expect(fateOf(chains, { ...FROM_ANY, direction: 'out' }).fate).toBe('passes');
  });
});

/** What iptables-save 1.8.9 prints. */
function saved(...rules: readonly string[]): string {
  return savedWith('ACCEPT', rules);
}

function savedWith(policy: 'ACCEPT' | 'DROP', rules: readonly string[]): string {
  const chains = [
    `:INPUT ${policy} [0:0]`,
    ':FORWARD DROP [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ':F2B - [0:0]',
  ];
  return ['# Generated by iptables-save', '*filter', ...chains, ...rules, 'COMMIT', ''].join('\n');
}

describe('iptables', () => {
  it.each([
    [[], 'passes'],
    [['-A INPUT -p udp -m udp --dport 4789 -m comment --comment "x y" -j DROP'], 'drops'],
    [
      ['-A INPUT -p udp -m multiport --dports 53,4700:4800 -j REJECT --reject-with icmp-x'],
      'drops',
    ],
    [['-A INPUT -p udp -m udp ! --dport 4789 -j DROP'], 'passes'],
    [['-A INPUT -p tcp -m tcp --dport 4789 -j DROP'], 'passes'],
    [['-A INPUT -i eth1 -j DROP'], 'passes'],
    [['-A INPUT -i eth+ -j DROP'], 'drops'],
    [['-A INPUT -d 10.200.0.0/16 -p udp -j DROP'], 'drops'],
    [['-A INPUT -s 10.9.0.0/16 -j DROP'], 'depends'],
    [
      ['-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT', '-A INPUT -j DROP'],
      'drops',
    ],
    [['-A INPUT -m set --match-set peers src -j ACCEPT', '-A INPUT -j DROP'], 'depends'],
    [['-A INPUT -j F2B', '-A F2B -p udp -j DROP'], 'drops'],
    [['-A INPUT -j F2B', '-A F2B -j RETURN', '-A F2B -p udp -j DROP'], 'passes'],
    [['-A INPUT -j LOG --log-prefix "-j DROP"'], 'passes'],
    [['-A FORWARD -j DROP'], 'passes'],
  ])('%j: %s', (rules, fate) => {
    expect(fateOf(iptablesChains(saved(...rules), 4), FROM_ANY).fate).toBe(fate);
  });

  it('is of its own family', () => {
    const chains = iptablesChains(saved('-A INPUT -p udp -j DROP'), 6);
    expect(fateOf(chains, FROM_ANY).fate).toBe('passes');
    expect(fateOf(chains, { ...FROM_ANY, address: 'fd00::1' }).fate).toBe('drops');
    const policy = iptablesChains(savedWith('DROP', []), 6);
    expect(fateOf(policy, FROM_ANY).fate).toBe('passes');
    expect(fateOf(policy, { ...FROM_ANY, address: 'fd00::1' }).fate).toBe('drops');
  });

  it('names the rule', () => {
    const rule = '-A INPUT -p udp -m udp --dport 4789 -j DROP';
    const fate = fateOf(iptablesChains(saved(rule), 4), FROM_ANY);
    expect(fate).toEqual({ fate: 'drops', rule: `iptables filter: ${rule}` });
  });
});
