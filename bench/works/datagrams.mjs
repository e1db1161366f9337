// UDP: how much of a flood arrives, and at which rate nearly all of it does.
import { blasting } from './blasting.mjs';

const smallest = 18; // bytes of payload: an Ethernet frame of 64
const lossless = 0.99;
const lowestRate = 20_000;
const highestRate = 1_000_000;

/** As many of the smallest packets as one sender can send. */
export const small = {
  figures: {
    rate: { title: 'thousand/s delivered', better: 'higher' },
    machine: { title: 'CPU s/million, whole machine', better: 'lower', cost: true },
    daemons: { title: 'CPU s/million, daemons', better: 'lower', cost: true },
  },
  measure: async (lab, site, { seconds }) => {
    const { count, duration, machine, daemons } = await flood(lab, site, smallest, seconds);
    const millions = count / 1e6;
    return {
      rate: count / duration / 1e3,
      machine: machine / millions,
      daemons: daemons / millions,
    };
  },
};

/** Goodput of packets that nearly fill the MTU. */
export const large = {
  figures: {
    rate: { title: 'Gbit/s', better: 'higher' },
    machine: { title: 'CPU s/GB, whole machine', better: 'lower', cost: true },
    daemons: { title: 'CPU s/GB, daemons', better: 'lower', cost: true },
  },
  measure: async (lab, site, { seconds }) => {
    const size = 1400;
    const { count, duration, machine, daemons } = await flood(lab, site, size, seconds);
    const gigabytes = (count * size) / 1e9;
    return {
      rate: (gigabytes * 8) / duration,
      machine: machine / gigabytes,
      daemons: daemons / gigabytes,
    };
  },
};

/** The highest rate of the smallest packets of which less than 1 % is lost; rates rise by `step` in one run. */
export const smallWithoutLoss = {
  figures: { rate: { title: 'thousand/s at < 1 % loss', better: 'higher' } },
  measure: async (lab, site, { step, stepMillis }) => {
    const rates = [];
    for (let rate = lowestRate; rate < highestRate; rate *= step) rates.push(Math.round(rate));
    const flags = ['--rates', rates.join(), '--millis', `${stepMillis}`];
    const { sent, served } = await blasting(lab, site, {
      server: 'sink',
      client: ['send', ...flags],
    });
    const good = sent.phases.map((phase, i) => {
      const received = served.received[i] ?? 0;
      return received >= lossless * phase.sent ? received / phase.seconds : 0;
    });
    return { rate: Math.max(...good) / 1e3 };
  },
};

/** CPU of daemons that get 1000 packets a second: what a spin or a poll would cost. */
export const trickle = {
  figures: { daemons: { title: '% of a CPU, daemons', better: 'lower' } },
  possible: ({ pids }) => pids.length > 0,
  measure: async (lab, site, { seconds }) => {
    const flags = ['--rates', '1000', '--millis', `${seconds * 1000}`];
    const run = { server: 'sink', client: ['send', ...flags] };
    const { daemons, seconds: duration } = await blasting(lab, site, run);
    return { daemons: (100 * daemons) / duration };
  },
};

async function flood(lab, site, size, seconds) {
  const flags = ['--size', `${size}`, '--millis', `${seconds * 1000}`];
  const run = { server: 'sink', client: ['send', ...flags] };
  const { sent, served, ...cost } = await blasting(lab, site, run);
  const [count = 0] = served.received;
  return { count, duration: sent.phases[0].seconds, ...cost };
}
