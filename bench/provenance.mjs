// Where results come from: what was measured, on what. Names no machine and no hour.
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { run, which } from '../tools/setup/child.mjs';

/** To be called before anything is measured: it notes how busy the machine was. */
export async function provenance() {
  return {
    day: new Date().toISOString().slice(0, 10),
    commit: await firstLine('git', ['rev-parse', '--short', 'HEAD']),
    changed: (await firstLine('git', ['status', '--porcelain', '--untracked-files=no'])) !== '',
    kernel: release(),
    cpus: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? '',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0],
    programs: {
      node: process.version,
      iperf3: await firstLine('iperf3', ['--version']),
      ovs: await firstLine('ovs-vswitchd', ['--version']),
      tinc: await firstLine('tincd', ['--version']),
    },
  };
}

async function firstLine(program, args) {
  if (which(program) === undefined) return '';
  return (await run(program, args)).output.split('\n')[0];
}
