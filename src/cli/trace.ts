// vswitchctl trace

import { type Command, Option } from 'commander';
import type { TraceBody, TraceView } from '../control/client.js';
import { SwitchError } from '../model/error.js';
import { addressArgument, countArgument, hexArgument } from './arguments.js';
import { type Context, type Register, show } from './context.js';
import { indent } from './table.js';
import { datagramIn, isFrame, type PacketPlace, packetAt } from './tracedPacket.js';

interface TraceOptions {
  readonly port?: string;
  readonly peer?: string;
  readonly hex?: string;
  readonly pcap?: string;
  readonly packet?: number;
}

export const registerTrace: Register = (program, run) => {
  program
    .command('trace')
    .description('the way of one frame through the switch, decision by decision; nothing is sent')
    .argument('<network>')
    .argument('[flow]', 'the frame in words, such as "ip dst 10.0.0.2 tcp dport 80"')
    .addOption(new Option('--port <name>', 'it enters at this port').conflicts('peer'))
    .option('--peer <address>', 'it comes from this VTEP', addressArgument)
    .option('--hex <digits>', 'the frame, byte by byte, from the destination MAC on', hexArgument)
    .option('--pcap <file>', 'a packet of this pcap or pcapng: a frame, or a datagram with VXLAN')
    .option('--packet <number>', 'which one (default: the first)', countArgument)
    .addHelpText('after', FLOW_HELP)
    .action(
      run(async (context, ...asked: TraceArguments) => {
        const [network] = asked;
        const body = await bodyOf(context, ...asked);
        show(context, await context.client.trace(network, body), traceText);
      }),
    );
};

type TraceArguments = [
  network: string,
  flow: string | undefined,
  options: TraceOptions,
  command: Command,
];

async function bodyOf(context: Context, ...asked: TraceArguments): Promise<TraceBody> {
  const [network, flow, { port, peer, hex, pcap, packet }, command] = asked;
  const given = [flow, hex, pcap].filter((way) => way !== undefined).length;
  if (given !== 1 || (packet !== undefined && pcap === undefined)) {
    command.error("error: say which frame: a flow in words, '--hex DIGITS', or '--pcap FILE'");
  }
  const where = { ...(port !== undefined && { port }), ...(peer !== undefined && { peer }) };
  const place = pcap === undefined ? undefined : { file: pcap, number: packet ?? 1 };
  const body =
    place === undefined
      ? { ...where, ...(flow !== undefined && { flow }), ...(hex !== undefined && { hex }) }
      : {
          ...(await capturedBody(context, { place, network, isFrame: port !== undefined })),
          ...where,
        };
  if (body.port === undefined && body.peer === undefined) {
    command.error("error: say where the frame enters: '--port NAME' or '--peer ADDRESS'");
  }
  return body;
}

interface Captured {
  readonly place: PacketPlace;
  readonly network: string;
  /** It enters at a local port, whatever is in it. */
  readonly isFrame: boolean;
}

/** A datagram of the network's UDP port comes from its own source, unless another is named beside. */
async function capturedBody({ client }: Context, captured: Captured): Promise<TraceBody> {
  const { place, network } = captured;
  const packet = await packetAt(place);
  const { port: udpPort } = await client.network(network);
  const datagram = captured.isFrame ? undefined : datagramIn(packet, udpPort);
  if (datagram !== undefined) {
    const { source, tos, payload } = datagram;
    return { peer: source, hex: payload.toString('hex'), datagram: true, tos };
  }
  if (isFrame(packet)) return { hex: packet.bytes.toString('hex') };
  throw new SwitchError('PACKET_UNKNOWN', `${place.number} in ${place.file} to trace`, {
    why: `it is neither an Ethernet frame nor a datagram to UDP port ${udpPort}`,
  });
}

function traceText({ summary, assumed, steps, copies, sentence }: TraceView): string {
  const numbered = steps.map((step, at) => `${String(at + 1).padStart(2)}. ${step.sentence}`);
  // One copy is how it ends.
  const each = copies.length > 1 ? copies.map((copy) => indent(`- ${copy.sentence}`)) : [];
  return [
    summary,
    ...assumed.map((line) => indent(line)),
    '',
    ...numbered,
    ...each,
    '',
    sentence,
  ].join('\n');
}

const FLOW_HELP = `
A flow is a frame in the words of tcpdump. What it leaves open is filled in with what this host knows, and told.
For an address whose MAC nobody here knows, the question is traced that its sender would ask first.
  ether src MAC dst MAC    its Ethernet addresses
  vlan N, pcp N            an 802.1Q tag, at most two
  ip src A dst A           IPv4: tos N, dscp N, ecn N, ttl N, df, proto N
  ip6 src A dst A          IPv6: the same without df
  tcp, udp                 sport N, dport N; of TCP also syn, ack, fin, rst, psh
  icmp, icmp6              a ping; with reply: its answer
  arp A, nd A              who has A? with tell B: asked by B
  arp reply A, nd reply A  A is here; with is-at MAC: there; with tell B: told to B alone
  ether type N             anything else: zeros behind this type
  len N                    bytes of the whole frame, without FCS

For example:
  vswitchctl trace net1 --port c1 'ip dst 10.0.0.2 tcp dport 80'
  vswitchctl trace net1 --port c1 'arp 10.0.0.2'
  vswitchctl trace net1 --pcap strange.pcapng --packet 7
  vswitchctl trace net1 --peer 10.200.0.2 'ether dst 02:42:0a:00:00:01 ip src 10.0.0.2 dst 10.0.0.1 icmp len 1514'`;
