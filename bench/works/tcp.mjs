// TCP throughput by iperf3.
import { withCpu } from './cpu.mjs';

const port = 5201;

/**
 * A work that moves TCP as fast as it goes. `streams` at once; `reverse`: towards the connecting side; `local`: to
 * the neighbour on the same host.
 */
export function tcp(name, title, { streams = 1, reverse = false, local = false, ...rest }) {
  return {
    name,
    title,
    ...rest,
    possible: (site) => !local || site.neighbour !== undefined,
    figures: {
      rate: { title: 'Gbit/s', better: 'higher' },
      machine: { title: 'CPU s/GB, whole machine', better: 'lower', cost: true },
      daemons: { title: 'CPU s/GB, daemons', better: 'lower', cost: true },
      retransmits: { title: 'retransmissions/s', better: 'lower', cost: true },
    },
    measure: async (lab, site, { seconds }) => {
      const to = local ? site.neighbour : site.to;
      const server = lab.spawn(to.namespace, [
        'iperf3',
        '-s',
        '-1',
        '--forceflush',
        '-p',
        `${port}`,
      ]);
      await server.saying(/Server listening/, lab.signal);
      const flags = ['-P', `${streams}`, '-t', `${Math.ceil(seconds)}`, ...(reverse ? ['-R'] : [])];
      const command = ['iperf3', '-c', to.address, '-p', `${port}`, '--json', ...flags];
      const within = 1000 * (seconds + 30);
      try {
        const run = () => lab.inside(site.from.namespace, command, { within });
        return figuresOf(await withCpu(site.pids, run));
      } finally {
        await server.stop();
      }
    },
  };
}

function figuresOf({ result, machine, daemons }) {
  const { sum_sent: sent, sum_received: received } = JSON.parse(result).end;
  const gigabytes = received.bytes / 1e9;
  return {
    rate: received.bits_per_second / 1e9,
    machine: machine / gigabytes,
    daemons: daemons / gigabytes,
    retransmits: sent.retransmits / sent.seconds,
  };
}
