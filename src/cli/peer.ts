// vswitchctl peer ...

import { vtepArgument } from './arguments.js';
import { type Register, show } from './context.js';

export const registerPeer: Register = (program, run) => {
  const peer = program.command('peer').description('remote VTEPs of a network: add, rm');
  peer
    .command('add <network>')
    .description('add a VTEP to the flood list, and let it send to us')
    .argument('<address>', 'ADDRESS, ADDRESS:PORT or [IPV6]:PORT', vtepArgument)
    .action(
      run(async (context, network: string, address: string) => {
        show(
          context,
          await context.client.addPeer(network, address),
          () => `added peer ${address} to network ${network}`,
        );
      }),
    );
  peer
    .command('rm <network>')
    .description('remove a VTEP')
    .argument('<address>', 'as it was added', vtepArgument)
    .action(
      run(async (context, network: string, address: string) => {
        show(
          context,
          await context.client.removePeer(network, address),
          () => `removed peer ${address} from network ${network}`,
        );
      }),
    );
};
