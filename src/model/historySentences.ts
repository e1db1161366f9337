// Lines of the history in sentences, for an engineer who never saw the code.

/**
 * FDB: learned, moved (from), aged, evicted (by a newer MAC of the same port), flushed, set and removed (by people or the
 * control plane), refused (learning it: reason). neighborSet, neighborRemoved: ip is at mac. answered: a question about
 * ip, for the first time in a minute. dropped: reason, for the first time at this place, or again after a minute without.
 * vtepUp, vtepDown: a peer came or went; vtepHeard, vtepSilent: it answers, or no longer does.
 */
export type HappeningKind =
  | 'learned'
  | 'moved'
  | 'aged'
  | 'evicted'
  | 'flushed'
  | 'set'
  | 'removed'
  | 'refused'
  | 'answered'
  | 'neighborSet'
  | 'neighborRemoved'
  | 'dropped'
  | 'portUp'
  | 'portDown'
  | 'vtepUp'
  | 'vtepDown'
  | 'vtepHeard'
  | 'vtepSilent'
  | 'pathMtu'
  | 'omitted';

/** Something that happened, and where. Which fields are set depends on the kind. */
export interface Happening {
  readonly kind: HappeningKind;
  readonly network?: string;
  readonly mac?: string;
  readonly ip?: string;
  /** Port name; a tunnel's has a colon in it. Of an FDB entry without: it is this host's own. */
  readonly port?: string;
  /** Where it was before. */
  readonly from?: string;
  readonly origin?: string;
  readonly fromOrigin?: string;
  readonly reason?: string;
  readonly count?: number;
  readonly detail?: string;
}

/** Knows what the drop reasons mean. */
export class HistorySentences {
  readonly #reasons: ReadonlyMap<string, string>;

  constructor(reasons: readonly { readonly name: string; readonly sentence: string }[]) {
    this.#reasons = new Map(reasons.map(({ name, sentence }) => [name, sentence]));
  }

  line(line: Happening): string {
    const { kind, reason, mac, port } = line;
    if (kind === 'refused')
      return `${mac} at ${placeText(port)} is not learned: ${this.#why(reason)}`;
    if (kind !== 'dropped') return WORDS[kind](line);
    const whose = mac === undefined ? '' : ` from ${mac}`;
    const where = port === undefined ? 'the underlay' : placeText(port);
    return `Frames${whose} are dropped at ${where}: ${reason}. ${this.#why(reason)}`;
  }

  #why(reason = ''): string {
    return this.#reasons.get(reason) ?? REFUSALS[reason] ?? `${reason}.`;
  }
}

type Told = Exclude<HappeningKind, 'refused' | 'dropped'>;

const WORDS: Readonly<Record<Told, (line: Happening) => string>> = {
  learned: ({ mac, port }) =>
    `${mac} was heard for the first time: the FDB has it at ${placeText(port)}.`,
  moved: ({ mac, port, from }) => `${mac} moved from ${placeText(from)} to ${placeText(port)}.`,
  aged: ({ mac, port }) => `${mac} at ${placeText(port)} was silent for too long and is forgotten.`,
  evicted: ({ mac, port }) => `${mac} is forgotten for a newer station at ${placeText(port)}.`,
  flushed: ({ mac, port }) =>
    `${mac} at ${placeText(port)} is forgotten: the FDB was flushed, or its port went.`,
  set: ({ mac, port, origin, from, fromOrigin }) => {
    const before =
      fromOrigin === undefined ? '' : `; before, it was ${fromOrigin} at ${placeText(from)}`;
    return `${mac} has a ${origin} entry at ${placeText(port)}${before}.`;
  },
  removed: ({ mac, port, origin }) =>
    `The ${origin} entry of ${mac} at ${placeText(port)} is removed.`,
  answered: ({ ip, mac, port }) =>
    `A question for ${ip}${port === undefined ? '' : ` at ${placeText(port)}`} is answered here: it is at ${mac}.`,
  neighborSet: ({ ip, mac }) => `The control plane says that ${ip} is at ${mac}.`,
  neighborRemoved: ({ ip, mac }) => `The control plane no longer says that ${ip} is at ${mac}.`,
  portUp: ({ port }) => `${startOf(port)} is attached.`,
  portDown: ({ port, detail }) =>
    `${startOf(port)} is gone${detail === undefined ? '' : `: ${detail}`}.`,
  vtepUp: (line) => `VTEP ${vtepOf(line)} became a peer.`,
  vtepDown: (line) => `VTEP ${vtepOf(line)} is no peer any more.`,
  vtepHeard: (line) => `VTEP ${vtepOf(line)} is heard of.`,
  vtepSilent: (line) => `VTEP ${vtepOf(line)} is silent: no datagrams, no answers.`,
  pathMtu: (line) => {
    const before = line.from === undefined ? '' : `, before ${line.from}`;
    return `The path to ${vtepOf(line)} carries IP packets of ${line.detail} bytes${before}.`;
  },
  omitted: ({ count, port }) =>
    `${count} more happenings${port === undefined ? '' : ` at ${placeText(port)}`} were too many to be kept.`,
};

/** Why a station is not learned, where that is no drop. */
const REFUSALS: Readonly<Record<string, string>> = {
  full: 'the FDB, or its port, has as many as it may have.',
  conflict: 'a static or control entry has it elsewhere.',
};

function placeText(port: string | undefined): string {
  if (port === undefined) return 'this host itself';
  return port.includes(':') ? `VTEP ${port}` : `port ${port}`;
}

function startOf(port: string | undefined): string {
  return port === undefined ? 'A port' : `Port ${port}`;
}

function vtepOf({ port, ip }: Happening): string {
  return port ?? ip ?? '?';
}
