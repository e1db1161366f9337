// CPU time that was used while something went on, from /proc.
import { existsSync, readFileSync } from 'node:fs';

const ticksPerSecond = 100; // USER_HZ, the same on every architecture that Node runs on

/**
 * Does `work` and returns `{ result, seconds, machine, daemons }`: its result, how long it took, CPU seconds of all
 * CPUs together (user, system, interrupts; not idle, not stolen) and of these processes.
 */
export async function withCpu(pids, work) {
  const before = { at: performance.now(), machine: machine(), daemons: processes(pids) };
  const result = await work();
  return {
    result,
    seconds: (performance.now() - before.at) / 1000,
    machine: (machine() - before.machine) / ticksPerSecond,
    daemons: (processes(pids) - before.daemons) / ticksPerSecond,
  };
}

/** /proc/stat: user, nice, system, idle, iowait, irq, softirq. */
function machine() {
  const [user, nice, system, , , irq, softirq] = fields(/^cpu +(.*)$/m.exec(read('/proc/stat'))[1]);
  return user + nice + system + irq + softirq;
}

/** utime and stime, fields 14 and 15 of /proc/PID/stat; the name before them may hold spaces (proc(5)). */
function processes(pids) {
  const dead = pids.find((pid) => !existsSync(`/proc/${pid}/stat`));
  if (dead !== undefined) throw new Error(`the daemon with process ID ${dead} has ended`);
  return pids
    .map((pid) => read(`/proc/${pid}/stat`))
    .map((stat) => fields(stat.slice(stat.lastIndexOf(')') + 2)))
    .reduce((sum, stat) => sum + stat[11] + stat[12], 0);
}

const read = (path) => readFileSync(path, 'utf8');
const fields = (line) => line.split(' ').map(Number);
