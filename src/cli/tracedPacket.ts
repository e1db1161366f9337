// One packet of a capture, as a trace takes it: the datagram of another VTEP, or a frame.

import { createReadStream } from 'node:fs';
import { AnyCaptureReader } from '../capture/offline/captureReader.js';
import { readLink } from '../capture/offline/link.js';
import { PROTOCOL, readIp, readUdp } from '../capture/offline/outer.js';
import { type CapturedPacket, type CaptureProblem, LINK_TYPE } from '../capture/offline/packet.js';
import { SwitchError } from '../model/error.js';
import { fromNumber } from '../model/ip.js';

/** A VXLAN datagram on its way here. */
export interface CapturedDatagram {
  readonly source: string;
  /** Type of service or traffic class of the IP header. */
  readonly tos: number;
  readonly payload: Buffer;
}

/** Where `number`, from 1 on, stands in a file of any kind that the offline reader knows. */
export interface PacketPlace {
  readonly file: string;
  readonly number: number;
}

/**
 * Its bytes as they were on the wire; what was not kept is zero. Throws CAPTURE_UNREADABLE, PACKET_UNKNOWN.
 */
export async function packetAt(place: PacketPlace): Promise<CapturedPacket> {
  const { file, number } = place;
  const reader = new AnyCaptureReader();
  let packets = 0;
  let problem: CaptureProblem | undefined;
  try {
    for await (const chunk of createReadStream(file)) {
      for (const item of reader.read(chunk as Buffer)) {
        if (item.kind === 'problem') problem ??= item;
        if (item.kind !== 'packet') continue;
        packets += 1;
        if (packets === number) return wholeOf(item, place);
      }
    }
  } catch (error) {
    if (error instanceof SwitchError) throw error;
    throw new SwitchError('CAPTURE_UNREADABLE', file, { detail: (error as Error).message });
  }
  problem ??= reader.end();
  const detail = problem && `the file ${problem.what}`;
  throw new SwitchError('PACKET_UNKNOWN', `${number} in ${file}`, {
    why: `it has ${packets}`,
    detail,
  });
}

/** The datagram to `udpPort` in it; `undefined` when it is none, or not in one piece. */
export function datagramIn(packet: CapturedPacket, udpPort: number): CapturedDatagram | undefined {
  const { bytes } = packet;
  const link = readLink(packet.linkType, bytes);
  const ip = typeof link === 'string' ? 'other' : readIp(packet, link);
  if (typeof ip === 'string' || ip.protocol !== PROTOCOL.udp || ip.piece !== 'whole') {
    return undefined;
  }
  const udp = readUdp(bytes, ip);
  if (udp === undefined || udp.destinationPort !== udpPort || !udp.lengthFits) return undefined;
  const source = ip.addresses.subarray(0, ip.addresses.length / 2);
  return {
    source: fromNumber(BigInt(`0x${source.toString('hex')}`), ip.family),
    tos: ip.tos,
    payload: bytes.subarray(udp.payload, udp.end),
  };
}

export function isFrame({ linkType }: CapturedPacket): boolean {
  return linkType === LINK_TYPE.ethernet;
}

/** A switch decides by headers and lengths, so that zeros serve as well as what was not kept. */
function wholeOf(packet: CapturedPacket, { file, number }: PacketPlace): CapturedPacket {
  const size = Math.max(packet.length, packet.bytes.length);
  if (size > MAX_BYTES) {
    const why = `it would have ${size} bytes`;
    throw new SwitchError('PACKET_UNKNOWN', `${number} in ${file} to trace`, { why });
  }
  const bytes = Buffer.alloc(size);
  packet.bytes.copy(bytes);
  return { ...packet, bytes };
}

/** Of the longest frame that the API takes. */
const MAX_BYTES = 65_536;
