/** Puts bytes of the caller's making on a wire. */

import { join } from 'node:path';
import { insideScript } from './inside/index.js';
import { type Namespace, temporaryDirectory } from './netns.js';
import { writePcap } from './pcap.js';
import { Scope } from './scope.js';

export interface ForgedPacket {
  /** A whole IPv4 packet; the kernel fills in total length, header checksum and a zero identification. */
  readonly packet: Uint8Array;
  /** Where the kernel routes it; usually the packet's own destination. */
  readonly destination: string;
}

/** Sends IPv4 packets with forged headers through a raw socket: routing and ARP are the kernel's. */
export async function sendPackets(
  namespace: Namespace,
  packets: readonly ForgedPacket[],
): Promise<void> {
  const input = JSON.stringify(
    packets.map(({ packet, destination }) => ({
      packet: Buffer.from(packet).toString('base64'),
      destination,
    })),
  );
  await namespace.exec(process.execPath, [insideScript('rawIp')], { input });
}

/** Sends whole Ethernet frames out of an interface, as fast as it takes them. */
export async function sendFrames(
  where: { readonly namespace: Namespace; readonly ifname: string },
  frames: readonly Uint8Array[],
): Promise<void> {
  const scope = new Scope();
  try {
    const file = join(await temporaryDirectory(scope, 'frames'), 'frames.pcap');
    await writePcap(file, frames);
    const args = ['-q', '--topspeed', '-i', where.ifname, file];
    const out = await where.namespace.exec('tcpreplay', args);
    const sent = Number(out.match(/Successful packets:\s+(\d+)/)?.[1]);
    if (sent !== frames.length) throw new Error(`sent ${sent} of ${frames.length} frames:\n${out}`);
  } finally {
    await scope.close();
  }
}
