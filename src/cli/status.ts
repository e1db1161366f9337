// vswitchctl status

import type { StatusView } from '../control/client.js';
import { type Register, show } from './context.js';
import { fields } from './table.js';

export const registerStatus: Register = (program, run) => {
  program
    .command('status')
    .description('is it running, on what, and is anything amiss')
    .action(run(async (context) => show(context, await context.client.status(), statusText)));
};

function statusText(status: StatusView): string {
  const { vtep, ports } = status;
  const scope = vtep.interface === undefined ? '' : ` on ${vtep.interface}`;
  const waiting = ports.waiting + ports.gone;
  return [
    fields([
      ['state', status.state],
      ['version', status.version],
      ['process', `${status.pid}, since ${status.started_at}`],
      ['socket', status.socket],
      ['config', status.config],
      [
        'vtep',
        `${vtep.address}${scope}, UDP port ${vtep.port}, underlay MTU ${status.underlay_mtu}`,
      ],
      ['store', storeText(status.store)],
      ['workers', status.workers],
      ['networks', status.networks],
      ['ports', `${ports.up} up${waiting === 0 ? '' : `, ${waiting} waiting`}`],
      ['peers', status.peers],
    ]),
    ...status.warnings.map((warning) => `warning: ${warning}`),
    ...(status.state === 'purged'
      ? ['purged: `vswitchctl reload` brings the networks of the file back']
      : []),
  ].join('\n');
}

function storeText({ name, state, since, garbage }: StatusView['store']): string {
  const foreign = garbage === 0 ? '' : `, ${garbage} keys of others`;
  return `${name}, ${state} since ${since}${foreign}`;
}
