// What has happened: the datapath's history, in sentences, and the FDB as it was.

import type {
  HistoryOperations,
  HistoryQuery,
  HistoryView,
  PastFdbQuery,
} from '../control/historyApi.js';
import type { FdbView } from '../control/views.js';
import type { Datapath } from '../datapath/datapath.js';
import type { FdbEntry, HistoryLine } from '../datapath/seam.js';
import { SwitchError } from '../model/error.js';
import { fdbAt, type PastEntry } from '../model/fdbPast.js';
import { HistorySentences } from '../model/historySentences.js';
import { formatTunnel, parseTunnel } from '../model/vtep.js';
import type { Overlay } from '../overlay/overlay.js';
import { stationsOf } from './stations.js';

export interface PastParts {
  readonly datapath: Datapath;
  readonly overlay: Overlay;
}

export function pastOf(parts: PastParts): HistoryOperations {
  const sentences = new HistorySentences(parts.datapath.dropReasons());
  return {
    history: (query) => history(parts, sentences, query),
    pastFdb: (query) => pastFdb(parts, query),
  };
}

function history(parts: PastParts, sentences: HistorySentences, query: HistoryQuery): HistoryView {
  const { lines, completeSince } = parts.datapath.history(query.from);
  const isChosen = choice(query, query.ip === undefined ? [] : ownersOf(parts, query.ip));
  return {
    complete_since: new Date(completeSince).toISOString(),
    next: (lines.at(-1)?.seq ?? (query.from ?? 0) - 1) + 1,
    lines: lines.filter(isChosen).map((line) => viewLine(line, sentences.line(line))),
  };
}

/** A station of a network. */
interface Owner {
  readonly network: string;
  readonly mac: string;
}

/** Who has, or had, an address: what happened to them happened to it. */
function ownersOf({ datapath, overlay }: PastParts, ip: string): Owner[] {
  const had = datapath
    .history()
    .lines.flatMap(({ network, mac, ip: told }) =>
      told === ip && network !== undefined && mac !== undefined ? [{ network, mac }] : [],
    );
  const has = overlay.networks.flatMap((network) =>
    stationsOf({ datapath, overlay }, network)
      .filter(({ ips }) => ips.some(({ address }) => address === ip))
      .map(({ mac }) => ({ network: network.name, mac })),
  );
  return [...had, ...has];
}

function choice(
  { network, port, mac, ip, since }: HistoryQuery,
  owners: readonly Owner[],
): (line: HistoryLine) => boolean {
  const stations = new Set(owners.map((owner) => `${owner.network} ${owner.mac}`));
  return (line) => {
    const isOwner = () => stations.has(`${line.network} ${line.mac}`);
    // What was not kept may have been about anybody.
    const isAbout = () =>
      (mac === undefined || line.mac === mac) && (ip === undefined || line.ip === ip || isOwner());
    return (
      (network === undefined || line.network === network) &&
      (port === undefined || line.port === port || line.from === port) &&
      (since === undefined || line.at >= since) &&
      (line.kind === 'omitted' || isAbout())
    );
  };
}

function viewLine(line: HistoryLine, sentence: string): HistoryView['lines'][number] {
  const { at, fromOrigin, ...same } = line;
  return {
    ...same,
    at: new Date(at).toISOString(),
    sentence,
    ...(fromOrigin === undefined ? {} : { from_origin: fromOrigin }),
  };
}

function pastFdb({ datapath, overlay }: PastParts, { network, at }: PastFdbQuery): FdbView[] {
  if (network !== undefined) overlay.network(network);
  // In this order: whatever the entries show, the lines tell. Lines that are newer do no harm.
  const entries = datapath.fdb(network);
  const { lines, completeSince } = datapath.history();
  if (at < completeSince) {
    const known = new Date(completeSince).toISOString();
    const facts = { why: `the past is known from ${known} on`, fix: 'ask for a later time' };
    throw new SwitchError('TOO_LONG_AGO', new Date(at).toISOString(), facts);
  }
  const vnis = new Map(overlay.networks.map(({ name, vni }) => [name, vni]));
  const now = entries.filter((entry) => entry.active).map(pastEntryOf);
  const changes = lines.filter((line) => network === undefined || line.network === network);
  return fdbAt(at, now, changes).map((entry) => viewPast(entry, vnis.get(entry.network) ?? 0));
}

function pastEntryOf({ network, vni, mac, origin, ...place }: FdbEntry): PastEntry {
  const { port, remote, udpPort, tunnelVni } = place;
  if (remote === undefined || udpPort === undefined) return { network, mac, origin, port };
  const tunnel = { address: remote, port: udpPort, vni: tunnelVni ?? vni };
  return { network, mac, origin, port: formatTunnel(tunnel, vni) };
}

function viewPast({ network, mac, origin, port }: PastEntry, vni: number): FdbView {
  const tunnel = port === undefined ? undefined : parseTunnel(port, vni);
  const place =
    tunnel === undefined
      ? { ...(port !== undefined && { port }) }
      : { vtep: tunnel.address, udp_port: tunnel.port, tunnel_vni: tunnel.vni };
  const common = { network, vni, mac, origin, active: true, idle: 0 };
  return { ...common, ...place, local: port === undefined };
}
