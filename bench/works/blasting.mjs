// Runs both ends of bench/blast, see there.
import { availableParallelism } from 'node:os';
import { blast } from '../setup.mjs';
import { withCpu } from './cpu.mjs';

const port = 9000;
const patienceMillis = 30_000;

/**
 * Runs `client` (a word and flags) in the first container against `server` (a word) in the other one and returns
 * what they say and what it cost: `{ sent, served, seconds, machine, daemons }`. `apart`: each end on a CPU of its
 * own, where there are two.
 */
export async function blasting(lab, site, { server, client: [word, ...flags], apart = false }) {
  const onCpu = (cpu) => (apart && availableParallelism() > 1 ? ['--cpu', `${cpu}`] : []);
  const at = `${site.to.address}:${port}`;
  const serving = lab.spawn(site.to.namespace, [blast, server, at, ...onCpu(1)]);
  await serving.saying(/ready/, lab.signal);
  const command = [blast, word, at, ...flags, ...onCpu(0)];
  try {
    const run = () => lab.inside(site.from.namespace, command, { within: patienceMillis });
    const { result, ...cost } = await withCpu(site.pids, run);
    serving.endInput();
    await serving.exited;
    return { sent: JSON.parse(result), served: JSON.parse(serving.stdout), ...cost };
  } finally {
    await serving.stop();
  }
}
