// vswitchctl host ...

import type { HostView } from '../control/client.js';
import { addressArgument } from './arguments.js';
import { type Register, show } from './context.js';
import { table } from './table.js';

export const registerHost: Register = (program, run) => {
  const host = program.command('host').description('hosts that share the store: ls, rm');
  host
    .command('ls')
    .description('list hosts')
    .action(run(async (context) => show(context, await context.client.hosts(), hostTable)));
  host
    .command('rm')
    .description('forget a host that will not come back, with its endpoints and addresses')
    .argument('<vtep>', 'address of its VTEP', addressArgument)
    .action(
      run(async (context, vtep: string) =>
        show(context, await context.client.removeHost(vtep), () => `forgot host ${vtep}`),
      ),
    );
};

function hostTable(hosts: readonly HostView[]): string {
  return table(
    ['vtep', 'udp', 'name', 'state', 'endpoints', ''],
    hosts.map((item) => [
      item.address,
      item.port,
      item.name,
      item.state,
      item.endpoints,
      item.self ? 'this host' : undefined,
    ]),
  );
}
