// An interface of this host, listened to by libpcap through the package `pcap`, which not every installation has.

import { setTimeout as delay } from 'node:timers/promises';
import { SwitchError } from '../../model/error.js';
import { type CapturedPacket, LINK_TYPE } from './packet.js';

export interface LiveSpec {
  readonly ifname: string;
  /** Datagrams to these are taken, and what tells about them: pieces of packets, and ICMP. */
  readonly udpPorts: readonly number[];
  /** Ends the listening. */
  readonly until: AbortSignal;
  /** Called when it has begun. */
  ready(): void;
}

export interface LiveEnd {
  /** Packets that were not given, because the one who takes them was too slow. */
  readonly lost: number;
}

/**
 * Gives every packet to `take`, which must not throw, until `until` is aborted. Rejects with NO_PCAP or
 * INTERFACE_UNREADABLE before the first packet. A packet's bytes are good only within the call. The interface is
 * left as it is: no promiscuous mode.
 */
export async function listen(
  spec: LiveSpec,
  take: (packet: CapturedPacket) => void,
): Promise<LiveEnd> {
  const pcap = await loadPcap();
  pcap.warningHandler = () => {};
  const session = open(pcap, spec);
  const linkType = linkTypeOf(session.link_type);
  // The package reads on as long as there is something, before anybody else gets his turn: neither timers nor
  // signals. Who has taken packets for so long leaves the others unread, which is much faster than they come.
  let sittingSince: number | undefined;
  let skipped = 0;
  session.on('packet', ({ buf, header }) => {
    if (sittingSince === undefined) {
      sittingSince = performance.now();
      setImmediate(() => {
        sittingSince = undefined;
      });
    } else if (performance.now() - sittingSince > LONGEST_SITTING_MS) {
      skipped += 1;
      return;
    }
    take(packetOf(buf, header, linkType));
  });
  spec.ready();
  await aborted(spec.until);
  // What came before the end may still lie in the kernel's buffer.
  await delay(2 * HANDED_OVER_MS);
  const { ps_drop, ps_ifdrop } = session.stats();
  close(session);
  return { lost: skipped + ps_drop + ps_ifdrop };
}

/** What we use of the package. It is no dependency that is always there, so neither are its types. */
interface PcapPackage {
  warningHandler: (text: string) => void;
  createSession(ifname: string, options: object): Session;
}

interface Session {
  readonly link_type: string;
  /** What reads when there is something to be read. */
  readonly session: { read_callback(): void };
  on(event: 'packet', listener: (packet: { buf: Buffer; header: Buffer }) => void): void;
  stats(): { ps_drop: number; ps_ifdrop: number };
  close(): void;
}

async function loadPcap(): Promise<PcapPackage> {
  const name: string = 'pcap';
  try {
    return ((await import(name)) as { default: PcapPackage }).default;
  } catch (cause) {
    const [detail] = String(cause instanceof Error ? cause.message : cause).split('\n');
    throw new SwitchError('NO_PCAP', 'an interface', { detail });
  }
}

function open(pcap: PcapPackage, { ifname, udpPorts }: LiveSpec): Session {
  const ports = udpPorts.map((port) => `udp dst port ${port}`).join(' or ');
  const about = `${ports} or (udp and ip[6:2] & 0x1fff != 0) or ip6 proto 44 or icmp or icmp6`;
  const settings = { buffer_timeout: HANDED_OVER_MS, snap_length: SNAPLEN, promiscuous: false };
  try {
    // `vlan` moves everything behind it, so it stands last; links without VLANs refuse it.
    return pcap.createSession(ifname, { ...settings, filter: `${about} or vlan` });
  } catch (first) {
    if (!String(first).includes('VLAN')) throw unreadable(ifname, first);
  }
  try {
    return pcap.createSession(ifname, { ...settings, filter: about });
  } catch (second) {
    throw unreadable(ifname, second);
  }
}

function unreadable(ifname: string, cause: unknown): SwitchError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new SwitchError('INTERFACE_UNREADABLE', `interface ${ifname}`, { detail });
}

/** Ends the session now. `close` alone lets it go with the next packet, which may never come. */
function close(session: Session): void {
  session.close();
  session.session.read_callback();
}

/** The package's header: seconds, microseconds, bytes kept and bytes there were, in this machine's order. */
function packetOf(bytes: Buffer, header: Buffer, linkType: number): CapturedPacket {
  const [seconds = 0, micros = 0, kept = 0, length = 0] = new Uint32Array(
    header.buffer,
    header.byteOffset,
    4,
  );
  return {
    kind: 'packet',
    linkType,
    at: seconds * 1e6 + micros,
    bytes: bytes.subarray(0, kept),
    length,
    comments: [],
  };
}

/** The package names five, and gives the number of any other in a sentence. */
function linkTypeOf(name: string): number {
  const named = LINK_NAMES[name];
  return named ?? Number(/\d+$/.exec(name)?.[0] ?? Number.NaN);
}

async function aborted(signal: AbortSignal): Promise<void> {
  // A timer keeps the process alive where nothing else does.
  await delay(LONGEST_MS, undefined, { signal }).catch(() => {});
}

const LINK_NAMES: Readonly<Record<string, number>> = {
  LINKTYPE_NULL: LINK_TYPE.null,
  LINKTYPE_ETHERNET: LINK_TYPE.ethernet,
  LINKTYPE_RAW: LINK_TYPE.raw,
  LINKTYPE_LINUX_SLL: LINK_TYPE.linuxCooked,
};
const SNAPLEN = 65_536;
/** The kernel gives what it has at least so often. */
const HANDED_OVER_MS = 100;
const LONGEST_SITTING_MS = 100;
const LONGEST_MS = 2 ** 31 - 1;
