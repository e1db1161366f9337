// vswitchctl trace

import { type Command, Option } from 'commander';
import type { TraceBody, TraceView } from '../control/client.js';
import { addressArgument, hexArgument } from './arguments.js';
import { type Register, show } from './context.js';
import { indent } from './table.js';

interface TraceOptions {
  readonly port?: string;
  readonly peer?: string;
  readonly hex?: string;
}

export const registerTrace: Register = (program, run) => {
  program
    .command('trace')
    .description('the way of one frame through the switch, decision by decision; nothing is sent')
    .argument('<network>')
    .argument('[flow]', 'the frame in words, such as "ip dst 10.0.0.2 tcp dport 80"')
    .addOption(new Option('--port <name>', 'it enters at this port').conflicts('peer'))
    .addOption(new Option('--peer <address>', 'it comes from this VTEP').argParser(addressArgument))
    .addOption(
      new Option(
        '--hex <digits>',
        'the frame, byte by byte, from the destination MAC on',
      ).argParser(hexArgument),
    )
    .addHelpText('after', FLOW_HELP)
    .action(
      run(async (context, network: string, ...rest: TraceRest) => {
        const answer = await context.client.trace(network, bodyOf(...rest));
        show(context, answer, traceText);
      }),
    );
};

type TraceRest = [flow: string | undefined, options: TraceOptions, command: Command];

function bodyOf(...[flow, { port, peer, hex }, command]: TraceRest): TraceBody {
  if (port === undefined && peer === undefined) {
    command.error("error: say where the frame enters: '--port NAME' or '--peer ADDRESS'");
  }
  if ((flow === undefined) === (hex === undefined)) {
    command.error("error: say which frame: a flow in words, or '--hex DIGITS'");
  }
  return {
    ...(port !== undefined && { port }),
    ...(peer !== undefined && { peer }),
    ...(flow !== undefined && { flow }),
    ...(hex !== undefined && { hex }),
  };
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
  vswitchctl trace net1 --peer 10.200.0.2 'ether dst 02:42:0a:00:00:01 ip src 10.0.0.2 dst 10.0.0.1 icmp len 1514'`;
