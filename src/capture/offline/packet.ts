// What readers of files and interfaces give: packets and what was remarked about them, whatever the format.

/** One packet. Its bytes are a view of what was read: who keeps them longer than that copies. */
export interface CapturedPacket {
  readonly kind: 'packet';
  /** As of tcpdump.org/linktypes.html. */
  readonly linkType: number;
  /** Unix time in microseconds; absent where the format has none. */
  readonly at: number | undefined;
  /** As much of it as was kept. */
  readonly bytes: Buffer;
  /** Bytes that it had on the wire. */
  readonly length: number;
  /** Remarks of the one who captured it. */
  readonly comments: readonly string[];
}

/** What the capturing program said at the end about one of its interfaces. */
export interface CaptureStatistics {
  readonly kind: 'statistics';
  readonly comments: readonly string[];
  /** Packets that it had to leave out. */
  readonly lost: number;
}

/** Where a file cannot be read any further, or what of it was left out. */
export interface CaptureProblem {
  readonly kind: 'problem';
  /** Bytes from the start. */
  readonly at: number;
  /** Without subject, such as `ends within a packet`. */
  readonly what: string;
}

export type CaptureItem = CapturedPacket | CaptureStatistics | CaptureProblem;

/** Takes a capture as it comes and gives what is complete; holds at most the part of one packet. */
export interface CaptureReader {
  /** After a problem that ends the reading it gives nothing more. */
  read(chunk: Buffer): Generator<CaptureItem, void>;
  /** To be asked when no more bytes come: what is missing. */
  end(): CaptureProblem | undefined;
}

/** Link types with an IP packet behind a header that is known. */
export const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  rawBsd: 12,
  rawOpenBsd: 14,
  raw: 101,
  loop: 108,
  linuxCooked: 113,
  ipv4: 228,
  ipv6: 229,
  linuxCooked2: 276,
} as const;
