/** Superframes as a container's own stack hands them to its interface, and as no stack would. */

import type { Namespace } from './netns.js';

export interface SuperframeSpec {
  readonly frame: Uint8Array;
  /** Bytes of payload in each segment. */
  readonly segment: number;
  /** Where the TCP header begins. */
  readonly transportAt: number;
}

/** Sends it as TCP over IPv4, to be segmented by whoever gets it, out of an interface. */
export async function sendSuperframe(
  where: { readonly namespace: Namespace; readonly ifname: string },
  { frame, segment, transportAt }: SuperframeSpec,
): Promise<void> {
  const superframe = { type: GSO_TCPV4, segment };
  await sendWithHeader(where, frame, { ...superframe, start: transportAt, offset: TCP_CHECKSUM });
}

/** Sends a frame whose checksum, at `checksumAt` bytes of its transport header, is left to whoever gets it. */
export async function sendUnfinished(
  where: { readonly namespace: Namespace; readonly ifname: string },
  spec: { readonly frame: Uint8Array; readonly transportAt: number; readonly checksumAt: number },
): Promise<void> {
  const { frame, transportAt: start, checksumAt: offset } = spec;
  await sendWithHeader(where, frame, { type: GSO_NONE, segment: 0, start, offset });
}

interface OffloadHeader {
  readonly type: number;
  readonly segment: number;
  /** Where the sum begins. */
  readonly start: number;
  /** Where its field is, from there. */
  readonly offset: number;
}

async function sendWithHeader(
  where: { readonly namespace: Namespace; readonly ifname: string },
  frame: Uint8Array,
  header: OffloadHeader,
): Promise<void> {
  const hex = Buffer.from(frame).toString('hex');
  const input = JSON.stringify({ ifname: where.ifname, frame: hex, ...header });
  await where.namespace.exec('python3', ['-c', SEND], { input });
}

/** Sends one UDP message of many segments in one call (UDP_SEGMENT). */
export async function sendUdpSegments(
  namespace: Namespace,
  to: { readonly address: string; readonly segment: number; readonly bytes: number },
): Promise<void> {
  await namespace.exec('python3', ['-c', SEND_UDP], { input: JSON.stringify(to) });
}

/**
 * PACKET_VNET_HDR (packet(7)): a virtio_net_hdr of the machine's byte order before the frame. Node has no such
 * sockets. 263 is SOL_PACKET, 15 PACKET_VNET_HDR; flag 1 NEEDS_CSUM.
 */
const SEND = `
import json, socket, struct, sys
spec = json.load(sys.stdin)
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind((spec['ifname'], 0))
out.setsockopt(263, 15, 1)
fields = [spec[name] for name in ('type', 'segment', 'start', 'offset')]
header = struct.pack('=BBHHHH', 1, fields[0], 0, *fields[1:])
out.send(header + bytes.fromhex(spec['frame']))
`;

/** 17 is SOL_UDP, 103 UDP_SEGMENT. */
const SEND_UDP = `
import json, socket, sys
to = json.load(sys.stdin)
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(17, 103, to['segment'])
out.sendto(b'.' * to['bytes'], (to['address'], 5000))
`;

const GSO_NONE = 0;
const GSO_TCPV4 = 1;
/** Where TCP has its checksum. */
const TCP_CHECKSUM = 16;
