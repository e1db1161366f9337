// Questions and answers: round trips, and connections of one question each.
import { blasting } from './blasting.mjs';

/** Median and 99th percentile of round trips, one at a time, both ends on CPUs of their own. */
export function roundTrips(protocol) {
  return {
    figures: {
      p50: { title: 'us, median', better: 'lower' },
      p99: { title: 'us, 99 %', better: 'lower' },
    },
    measure: async (lab, site, { seconds }) => {
      const client = [`ping-${protocol}`, '--millis', `${seconds * 1000}`];
      const run = { server: `echo-${protocol}`, client, apart: true };
      const { p50, p99 } = (await blasting(lab, site, run)).sent;
      return { p50, p99 };
    },
  };
}

/** TCP connect, request, response, close, by so many clients at once. */
export function connections(clients) {
  return {
    figures: { rate: { title: 'per second', better: 'higher' } },
    measure: async (lab, site, { seconds }) => {
      const flags = ['--clients', `${clients}`, '--millis', `${seconds * 1000}`];
      const { sent } = await blasting(lab, site, {
        server: 'serve',
        client: ['connect', ...flags],
      });
      return { rate: sent.transactions / sent.seconds };
    },
  };
}
