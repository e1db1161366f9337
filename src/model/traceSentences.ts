// The way of a frame in sentences, for an engineer who never saw the code. The kinds of steps are the datapath's.

export type StepKind =
  | 'enters'
  | 'datagram'
  | 'network'
  | 'sender'
  | 'reserved'
  | 'frame'
  | 'vlan'
  | 'congestion'
  | 'guard'
  | 'size'
  | 'addresses'
  | 'learn'
  | 'lookup'
  | 'neighbor'
  | 'flood'
  | 'tooBig';

/** One decision. Which fields are set depends on the kind. */
export interface Step {
  readonly kind: StepKind;
  readonly port?: string;
  readonly mac?: string;
  readonly ip?: string;
  readonly remote?: string;
  readonly vni?: number;
  readonly vid?: number;
  readonly from?: string;
  readonly origin?: string;
  readonly evicted?: string;
  readonly outcome?: string;
  /** Drop reason. */
  readonly reason?: string;
  readonly note?: string;
  readonly mtu?: number;
  readonly length?: number;
  readonly detail?: string;
}

/** A copy of the frame at the port where it leaves, or is dropped. */
export interface Copy {
  readonly port: string;
  readonly kind: 'tap' | 'packet' | 'memory' | 'tunnel';
  readonly reason?: string;
  readonly note?: string;
  readonly mss?: number;
  readonly remote?: string;
  readonly udpPort?: number;
  readonly sourcePort?: number;
  readonly vni?: number;
  readonly pathMtu?: number;
  readonly length: number;
}

export interface Ending {
  readonly verdict: 'to' | 'flood' | 'consumed' | 'drop';
  readonly reason?: string;
  readonly steps: readonly Step[];
  readonly copies: readonly Copy[];
}

/** Knows what the drop reasons mean. */
export class TraceSentences {
  readonly #reasons: ReadonlyMap<string, string>;

  constructor(reasons: readonly { readonly name: string; readonly sentence: string }[]) {
    this.#reasons = new Map(reasons.map(({ name, sentence }) => [name, sentence]));
  }

  /** What was decided, and by what. */
  step(step: Step, network: string | undefined): string {
    const said = WORDS[step.kind]?.(step, network ?? '?') ?? '';
    if (step.reason === undefined) return said;
    // The table's sentence says what is wrong; ours adds what of this frame it is about.
    return [said, this.#why(step.reason)].filter((part) => part !== '').join(' ');
  }

  /** What becomes of one copy. */
  copy(copy: Copy): string {
    const { port, kind, reason } = copy;
    const place = kind === 'tunnel' ? `the tunnel ${port}` : `port ${port}`;
    if (reason !== undefined) return `At ${place} it is dropped: ${this.#named(reason)}`;
    const size = kind === 'tunnel' ? tunnelText(copy) : ` (${copy.length} bytes)`;
    return `It leaves by ${place}${size}${NOTES[copy.note ?? '']?.(copy) ?? ''}.`;
  }

  /** How it ends. */
  ending({ verdict, reason, steps, copies }: Ending): string {
    if (verdict === 'drop') return `It is dropped${reason ? `: ${this.#named(reason)}` : '.'}`;
    if (verdict === 'consumed') {
      const came = (outcome: string) => steps.some((step) => step.outcome === outcome);
      if (came('answered')) return 'It goes no further: this host answers it.';
      if (came('here')) return 'It goes no further: it is for this host itself.';
      return 'It goes no further: it concerns nobody else.';
    }
    const [only] = copies;
    if (copies.length === 1 && only !== undefined) return this.copy(only);
    const sent = copies.filter((copy) => copy.reason === undefined);
    const lost = copies.length - sent.length;
    if (sent.length === 0) return 'It reaches nobody: every copy is dropped.';
    return `Copies leave by ${sent.map(({ port }) => port).join(', ')}${lost === 0 ? '' : `; ${lost} more dropped`}.`;
  }

  #why(reason: string): string {
    return this.#reasons.get(reason) ?? '';
  }

  #named(reason: string): string {
    return [reason, this.#why(reason)].filter((part) => part !== '').join('. ');
  }
}

const WORDS: Readonly<Record<StepKind, (step: Step, network: string) => string>> = {
  enters: ({ port, length }, network) =>
    `A frame of ${length} bytes enters at port ${port} of network ${network}.`,
  datagram: ({ remote, length, outcome }) =>
    outcome === 'vxlan'
      ? `A UDP datagram of ${length} bytes from ${remote} carries VXLAN.`
      : `A UDP datagram of ${length} bytes comes from ${remote}.`,
  network: ({ vni, outcome }, network) =>
    outcome === 'unknown'
      ? `Its VNI is ${vni}.`
      : `It belongs to network ${network} (VNI ${vni})${outcome === 'up' ? ', which is up' : ''}.`,
  sender: ({ remote, port, outcome }, network) =>
    ({
      peer: `Its sender ${remote} is a peer of the network: it comes in by the tunnel ${port}.`,
      new: `Its sender ${remote} is no peer yet; network ${network} is open, so it becomes one.`,
    })[outcome ?? ''] ?? `Its sender is ${remote}.`,
  reserved: ({ detail, outcome }) =>
    `Its VXLAN header ${detail} has bits set that must be zero${outcome === 'ignored' ? '; this network ignores them' : ''}.`,
  frame: ({ length }) => `The frame has ${length} bytes.`,
  vlan: ({ vid, outcome }) =>
    ({
      kept: `It has the VLAN tag ${vid}, which this network lets pass.`,
      stripped: 'It has a priority tag, which is taken off.',
    })[outcome ?? ''] ?? `It has the VLAN tag ${vid}.`,
  congestion: ({ from, detail, outcome }) =>
    ({
      marked: `The underlay's ECN (${detail}) is taken over: the packet had ${from}.`,
      unchanged: `The underlay's ECN (${detail}) leaves the packet's own (${from}) as it is.`,
      notIp: `The underlay's ECN (${detail}) has no place in a frame without IP header.`,
    })[outcome ?? ''] ?? `The underlay's ECN is ${detail}, the packet's own ${from}.`,
  guard: ({ port, mac, outcome }) =>
    outcome === 'allowed'
      ? `Port ${port} may send this, from ${mac} and under its addresses.`
      : `Port ${port} may not send this${mac === undefined ? '' : ` (its source is ${mac})`}.`,
  size: ({ port, length, mtu }) =>
    `The packet has ${length} bytes, the MTU of port ${port} is ${mtu}.`,
  addresses: ({ mac }) => (mac === undefined ? '' : `One of its addresses is ${mac}.`),
  learn: learnText,
  lookup: lookupText,
  neighbor: neighborText,
  flood: ({ detail, outcome }) => {
    if (outcome === 'keptHere') return 'It concerns nobody else: no other port gets a copy.';
    const takers = `every other port that takes ${FLOODED[detail ?? ''] ?? detail}`;
    return outcome === 'copies' ? `A copy goes to ${takers}.` : `It would go to ${takers}.`;
  },
  tooBig: ({ port, mtu, note, outcome }) =>
    outcome === 'told'
      ? `Its sender is told by ICMP, at port ${port}, that packets may have ${mtu} bytes (${note}).`
      : `Its sender is not told that it is too big${note === undefined ? '' : ` (${note})`}.`,
};

function learnText({ mac, port, origin, from, evicted, outcome }: Step): string {
  const told: Readonly<Record<string, string>> = {
    known: `Its source ${mac} is known at ${placeText(port)}${origin === undefined ? '' : ` (${origin})`}.`,
    learned: `Its source ${mac} is new: the FDB learns it at ${placeText(port)}${evicted === undefined ? '' : `, and forgets ${evicted} for it`}.`,
    moved: `Its source ${mac} was at ${placeText(from)}: it has moved, and the FDB has it at ${placeText(port)} from now on.`,
    conflict: `Its source ${mac} is ${from === undefined ? '' : 'at '}${placeText(from)} by a ${origin} entry, which learning does not change.`,
    full: `Its source ${mac} is not learned: the FDB has as many as it may have.`,
    off: `Its source ${mac} is not learned: this network does not learn.`,
  };
  return told[outcome ?? ''] ?? `Its source is ${mac}.`;
}

function lookupText({ mac, port, origin, outcome, reason }: Step): string {
  const told: Readonly<Record<string, string>> = {
    found: `The FDB has its destination ${mac} at ${placeText(port)} (${origin}).`,
    here: `Its destination ${mac} is this host itself.`,
    unknown: `The FDB does not know its destination ${mac}${reason === undefined ? ': it is for everybody who takes that' : ''}.`,
    broadcast: 'Its destination is broadcast: everybody.',
    multicast: `Its destination ${mac} is a multicast group: everybody.`,
  };
  return told[outcome ?? ''] ?? `Its destination is ${mac}.`;
}

function neighborText({ ip, mac, from, outcome, note }: Step): string {
  const noted = note === undefined ? '' : ` (${note})`;
  const about = `It is about ${ip}${mac === undefined ? '' : ` (at ${mac} by the neighbor table)`}`;
  const told: Readonly<Record<string, string>> = {
    forwarded: `${about}: passed on, not answered here${noted}.`,
    keptHere: `${about}: no tunnel gets it${noted}.`,
    answered: `${about}: the question is answered here and goes no further.`,
  };
  return told[outcome ?? ''] ?? `${about}${from === undefined ? '' : `, and ${from} claims it`}.`;
}

/** A tunnel's name has a colon in it. */
function placeText(port: string | undefined): string {
  if (port === undefined) return 'this host itself';
  return port.includes(':') ? `VTEP ${port}` : `port ${port}`;
}

function tunnelText({ vni, sourcePort, udpPort, length, pathMtu }: Copy): string {
  const path = pathMtu === undefined ? '' : `, of ${pathMtu} that the path carries`;
  return `: VNI ${vni}, UDP port ${sourcePort} to ${udpPort}, an IP packet of ${length} bytes${path}`;
}

const NOTES: Readonly<Record<string, (copy: Copy) => string>> = {
  'mss.clamped': ({ mss }) => `, with its MSS lowered to ${mss}`,
  'tx.fragmented': () => ', in fragments',
};

const FLOODED: Readonly<Record<string, string>> = {
  broadcast: 'broadcast',
  multicast: 'multicast',
  unknownUnicast: 'frames for unknown stations',
};
