// vswitchctl port ...

import { type Command, Option } from 'commander';
import {
  cidrArgument,
  ifnameArgument,
  listOption,
  macArgument,
  mtuArgument,
  pidArgument,
} from './arguments.js';
import { type Register, type Runner, show } from './context.js';
import { portReasons, portTable, removedText } from './portTable.js';
import { addRootless } from './rootless.js';

interface AddOptions {
  readonly name?: string;
  readonly kind: 'tap' | 'packet';
  readonly netns?: string;
  readonly rootless?: number;
  readonly ifname?: string;
  readonly address: readonly string[];
  readonly mac?: string;
  readonly mtu?: number;
}

export const registerPort: Register = (program, run) => {
  const port = program.command('port').description('ports: add, rm, ls');
  registerAdd(port, run);
  port
    .command('rm <name>')
    .description('remove a port and its TAP')
    .action(
      run(async (context, name: string) => {
        show(context, await context.client.removePort(name), (gone) =>
          [`removed port ${name}`, ...removedText(gone)].join('\n'),
        );
      }),
    );
  port
    .command('ls')
    .description('list ports')
    .action(
      run(async (context) => {
        show(context, await context.client.ports(), (ports) =>
          [portTable(ports), ...portReasons(ports)].join('\n'),
        );
      }),
    );
};

function registerAdd(port: Command, run: Runner): void {
  port
    .command('add <network>')
    .description(
      'attach a network namespace or container with a TAP, or an interface that is there',
    )
    .option(
      '--name <name>',
      'name of the port (default: after its namespace, or the interface of a packet port)',
    )
    .addOption(kindOption())
    .option('--netns <name|path|pid>', 'network namespace to attach (default: our own)')
    .addOption(rootlessOption())
    .option(
      '--ifname <name>',
      'interface name there (default: eth0; in our own namespace the port name)',
      ifnameArgument,
    )
    .addOption(
      listOption(
        '--address <cidr>',
        'address of the interface, may be given many times',
        cidrArgument,
        'from the subnet of the network',
      ),
    )
    .option('--mac <mac>', 'MAC address of the interface', macArgument)
    .option('--mtu <bytes>', "MTU of the interface (default: the network's)", mtuArgument)
    .action(
      run(async (context, network: string, options: AddOptions) => {
        const { address, rootless: pid, ...settings } = options;
        const body = { addresses: [...address], ...settings };
        const added =
          pid === undefined
            ? await context.client.addPort(network, body)
            : await addRootless(context, network, { ...body, pid });
        show(context, added, () => {
          const addresses = added.addresses.map((text) => `, address ${text}`).join('');
          return `added port ${added.name} to network ${added.network}${addresses}`;
        });
      }),
    );
}

function rootlessOption(): Option {
  const description =
    'container in a user namespace of yours, by one of its processes: makes the TAP in there as you';
  return new Option('--rootless <pid>', description)
    .argParser(pidArgument)
    .conflicts(['netns', 'kind']);
}

function kindOption(): Option {
  const description =
    'tap: made here; packet: an interface that is there already, named by --ifname';
  return new Option('--kind <kind>', description).choices(['tap', 'packet']).default('tap');
}
