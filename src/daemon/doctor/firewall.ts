// Whether a firewall lets VXLAN through, said only where it is sure. Pure: rules are read elsewhere
// (nftRules.ts, iptablesRules.ts).

import { isIPv6 } from 'node:net';
import { contains, parseCidr, parseIp } from '../../model/ip.js';

/** Whether our datagrams are meant: `maybe` is whatever cannot be told without the datagram. */
export type Match = 'yes' | 'no' | 'maybe';

/** What is asked about. Its conntrack state is always NEW: answers come from another source port. */
export interface Datagram {
  readonly direction: 'in' | 'out';
  readonly udpPort: number;
  /** Our VTEP's address: destination of what comes in, source of what goes out. */
  readonly address: string;
  /** The interface with that address. */
  readonly ifname: string;
  /** The VTEP at the other end, where one is known. */
  readonly peer?: string;
}

export type Target =
  | { readonly kind: 'accept' | 'drop' | 'return' | 'none' | 'unknown' }
  | { readonly kind: 'jump' | 'goto'; readonly chain: string };

export interface Rule {
  /** As an operator would look for it. */
  readonly text: string;
  readonly matches: (datagram: Datagram) => Match;
  readonly target: Target;
}

export interface Chain {
  /** With its table, as jumps name it. */
  readonly name: string;
  /** Whose datagrams see it; absent: both families'. */
  readonly family?: 4 | 6;
  /** Absent for a chain that is only jumped to. */
  readonly hook?: string;
  /** What happens to what no rule decided. */
  readonly policy?: 'accept' | 'drop';
  readonly rules: readonly Rule[];
}

/** `passes` as far as these rules go; `depends` on more than port, address and interface. */
export type Fate =
  | { readonly fate: 'passes' }
  | { readonly fate: 'drops' | 'depends'; readonly rule: string };

const HOOKS: Readonly<Record<Datagram['direction'], readonly string[]>> = {
  in: ['prerouting', 'input'],
  out: ['output', 'postrouting'],
};

/** The worst that any base chain on the way does. */
export function fateOf(chains: readonly Chain[], datagram: Datagram): Fate {
  const family = isIPv6(datagram.address) ? 6 : 4;
  const seen = chains.filter((chain) => (chain.family ?? family) === family);
  const byName = new Map(seen.map((chain) => [chain.name, chain]));
  const fates = seen
    .filter((chain) => chain.hook && HOOKS[datagram.direction].includes(chain.hook))
    .map((chain) => new Walk(byName, datagram).base(chain));
  return (
    fates.find(({ fate }) => fate === 'drops') ??
    fates.find(({ fate }) => fate === 'depends') ?? { fate: 'passes' }
  );
}

/** One datagram on its way through one base chain. */
class Walk {
  readonly #chains: ReadonlyMap<string, Chain>;
  readonly #datagram: Datagram;
  /** An earlier rule may have let it through, so a later drop is no longer sure. */
  #mayHavePassed = false;
  /** A rule that drops it under conditions that are not known. */
  #mayDrop: string | undefined;

  constructor(chains: ReadonlyMap<string, Chain>, datagram: Datagram) {
    this.#chains = chains;
    this.#datagram = datagram;
  }

  base(chain: Chain): Fate {
    const ended = this.#through(chain, 0);
    if (ended !== undefined && ended !== 'accept') return this.#dropped(ended);
    if (ended === undefined && chain.policy === 'drop')
      return this.#dropped(`policy drop of chain ${chain.name}`);
    return this.#mayDrop === undefined
      ? { fate: 'passes' }
      : { fate: 'depends', rule: this.#mayDrop };
  }

  #dropped(rule: string): Fate {
    return { fate: this.#mayHavePassed ? 'depends' : 'drops', rule };
  }

  /** `accept`, the text of the rule that drops, or undefined at the chain's end. */
  #through(chain: Chain, depth: number): string | undefined {
    for (const rule of chain.rules) {
      const match = rule.matches(this.#datagram);
      if (match === 'no') continue;
      const { target } = rule;
      if (match === 'maybe' || target.kind === 'unknown') this.#doubt(rule);
      else if (target.kind === 'accept') return 'accept';
      else if (target.kind === 'drop') return rule.text;
      else if (target.kind === 'return') return undefined;
      else if (target.kind === 'jump' || target.kind === 'goto') {
        const next = this.#chains.get(target.chain);
        if (next === undefined || depth >= DEEPEST) this.#doubt(rule);
        else {
          const ended = this.#through(next, depth + 1);
          if (ended !== undefined || target.kind === 'goto') return ended;
        }
      }
    }
    return undefined;
  }

  #doubt({ text, target: { kind } }: Rule): void {
    if (kind === 'none') return;
    if (kind === 'drop') this.#mayDrop ??= text;
    else this.#mayHavePassed = true;
  }
}

/** Rulesets have no loops; this bounds one that says otherwise. */
const DEEPEST = 16;

/** All of them: `no` wins, then `maybe`. */
export function every(matches: readonly Match[]): Match {
  if (matches.includes('no')) return 'no';
  return matches.includes('maybe') ? 'maybe' : 'yes';
}

export function sure(is: boolean): Match {
  return is ? 'yes' : 'no';
}

/** The other way round. */
export function not(match: Match): Match {
  return match === 'maybe' ? 'maybe' : sure(match === 'no');
}

/** Whether an address lies in `prefix`, as `10.0.0.0/8`; `maybe` where that is none. */
export function within(prefix: string, address: string): Match {
  const [subnet, ip] = [parseCidr(prefix), parseIp(address)];
  return subnet && ip ? sure(contains(subnet, ip)) : 'maybe';
}
