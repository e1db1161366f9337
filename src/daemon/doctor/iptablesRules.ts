// The filter table as `iptables-save` and `ip6tables-save` print it. What is not understood is `maybe`.

import { isIPv6 } from 'node:net';
import {
  type Chain,
  type Datagram,
  every,
  type Match,
  not,
  type Rule,
  sure,
  type Target,
  within,
} from './firewall.js';

const HOOKS: Readonly<Record<string, string>> = {
  PREROUTING: 'prerouting',
  INPUT: 'input',
  OUTPUT: 'output',
  POSTROUTING: 'postrouting',
};

/** Whether the program that printed `text` keeps its rules in nftables, where nft sees them as well. */
export function isOfNftables(text: string): boolean {
  return text.includes('(nf_tables)');
}

/** `family` is that of the program which printed `text`. */
export function iptablesChains(text: string, family: 4 | 6): Chain[] {
  const program = family === 4 ? 'iptables' : 'ip6tables';
  const chains: (Chain & { readonly rules: Rule[] })[] = [];
  let table = '';
  for (const line of text.split('\n')) {
    const [word = '', name = '', policy] = [line[0], ...line.slice(1).split(' ')];
    if (word === '*') table = name;
    if (word === ':') {
      const hook = HOOKS[name];
      chains.push({
        name: `${program} ${table} ${name}`,
        family,
        ...(hook === undefined ? {} : { hook, policy: policy === 'DROP' ? 'drop' : 'accept' }),
        rules: [],
      });
    }
    const [, chain, rest] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined || rest === undefined) continue;
    const owner = chains.find((item) => item.name === `${program} ${table} ${chain}`);
    owner?.rules.push(ruleOf(line, wordsOf(rest), `${program} ${table}`));
  }
  return chains;
}

/** `table` with its program, as chains are named. */
function ruleOf(line: string, words: readonly string[], table: string): Rule {
  const options = optionsOf(words);
  return {
    text: `${table}: ${line}`,
    matches: (datagram) => every(options.map((option) => matchOf(option, datagram))),
    target: targetOf(options, table),
  };
}

interface Option {
  readonly name: string;
  readonly negated: boolean;
  readonly values: readonly string[];
}

/** `! -i lo` is one option. What stands behind the target belongs to it. */
function optionsOf(words: readonly string[]): Option[] {
  const options: { name: string; negated: boolean; values: string[] }[] = [];
  let negated = false;
  for (const word of words) {
    if (word === '!') {
      negated = true;
      continue;
    }
    if (word.startsWith('-')) options.push({ name: word, negated, values: [] });
    else options.at(-1)?.values.push(word);
    negated = false;
    const last = options.at(-1);
    if ((last?.name === '-j' || last?.name === '-g') && last.values.length === 1) break;
  }
  return options;
}

function targetOf(options: readonly Option[], table: string): Target {
  const option = options.find(({ name }) => name === '-j' || name === '-g');
  const name = option?.values[0];
  if (name === undefined) return { kind: 'none' };
  const known = TARGETS[name];
  if (known !== undefined) return { kind: known };
  if (GOING_ON.includes(name)) return { kind: 'none' };
  return { kind: option?.name === '-g' ? 'goto' : 'jump', chain: `${table} ${name}` };
}

const TARGETS: Readonly<Record<string, 'accept' | 'drop' | 'return' | 'unknown'>> = {
  ACCEPT: 'accept',
  DROP: 'drop',
  REJECT: 'drop',
  RETURN: 'return',
  NFQUEUE: 'unknown',
  DNAT: 'unknown',
  REDIRECT: 'unknown',
};
const GOING_ON = [
  'LOG',
  'NFLOG',
  'MARK',
  'CONNMARK',
  'CT',
  'TRACE',
  'SNAT',
  'MASQUERADE',
  'TOS',
  'DSCP',
];

function matchOf({ name, negated, values }: Option, datagram: Datagram): Match {
  const [value = ''] = values;
  const match = plainMatch(name, value, datagram);
  return negated ? not(match) : match;
}

function plainMatch(name: string, value: string, datagram: Datagram): Match {
  const { direction, udpPort, address, ifname, peer } = datagram;
  const [source, destination] = direction === 'in' ? [peer, address] : [address, peer];
  switch (name) {
    case '-j':
    case '-g':
    case '--comment':
      return 'yes';
    case '-m':
      // What such a module asks stands in options of its own.
      return ['udp', 'comment', 'multiport', 'conntrack', 'state'].includes(value)
        ? 'yes'
        : ['tcp', 'icmp', 'icmp6', 'sctp'].includes(value)
          ? 'no'
          : 'maybe';
    case '-p':
      return sure(value === 'udp' || value === '17');
    case '--dport':
    case '--dports':
      return sure(value.split(',').some((range) => isWithin(range, udpPort)));
    case '-i':
      return direction === 'in' ? interfaceMatch(value, ifname) : 'no';
    case '-o':
      return direction === 'out' ? interfaceMatch(value, ifname) : 'no';
    case '-s':
      return addressMatch(value, source);
    case '-d':
      return addressMatch(value, destination);
    case '--ctstate':
    case '--state':
      return sure(value.split(',').includes('NEW'));
    default:
      return 'maybe';
  }
}

/** `eth+` stands for many. */
function interfaceMatch(value: string, ifname: string): Match {
  return sure(value.endsWith('+') ? ifname.startsWith(value.slice(0, -1)) : value === ifname);
}

function addressMatch(value: string, address: string | undefined): Match {
  if (address === undefined) return 'maybe';
  return within(value.includes('/') ? value : `${value}/${isIPv6(value) ? 128 : 32}`, address);
}

/** `4000:5000`, or one port. */
function isWithin(range: string, port: number): boolean {
  const [first = '', last = first] = range.split(':');
  return Number(first) <= port && port <= Number(last);
}

/** Words with what is quoted as one. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? '',
  );
}
