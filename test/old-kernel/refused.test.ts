/**
 * What vswitchd and vswitchctl ask of an older release of Linux in vain, as strace sees it: the second table of
 * docs/old-kernels.md.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DoctorView, StatusView } from '../../src/control/views.js';
import { eventually } from '../support/eventually.js';
import { createKernelVxlan } from '../support/kernelVxlan.js';
import { temporaryDirectory } from '../support/netns.js';
import { expectPing } from '../support/ping.js';
import { testScope } from '../support/testScope.js';
import { createContainer, createUnderlay, type Host } from '../support/topology.js';
import { portOf, Vswitchd } from '../support/vswitchd.js';
import { LEVELS, launcher } from './levels.js';
import { finishedCalls, refusedNames } from './strace.js';

describe.each(LEVELS)('at $release', ({ release, lacks, hasSetns, callsEnd }) => {
  test('no newer system call is needed [S261]', async ({ task }) => {
    const scope = testScope();
    const { hosts } = await createUnderlay(scope, { hosts: ['one', 'two'] });
    const [one, two] = hosts as [Host, Host];
    const c2 = await createContainer(scope, 'c2', 2);
    const kernel = await createKernelVxlan(two, { vni: 256, family: 4, peers: [one.address[4]] });
    await kernel.attach(c2);
    const made = await createContainer(scope, 'c1', 1);
    const c1 = hasSetns ? made : { ...made, namespace: one.namespace, ifname: made.name };
    const { netns, ...port } = portOf(c1);
    const folder = await temporaryDirectory(scope, 'strace');
    const strace = ['strace', '-D', '-ff', '-n', '-q', '-o', join(folder, 'record')];
    const vswitchd = await Vswitchd.start(scope, one, {
      networks: [
        {
          ...{ name: 'net', vni: 256, peers: [two.address[4]] },
          ports: [hasSetns ? { ...port, netns } : port],
        },
      ],
      datapath: { features: { spin: 'off' } },
      launcher: [...launcher(release), ...strace],
    });
    await expectPing(c1, { to: c2.address[4] });
    expect((await vswitchd.ctl<StatusView>('status')).ports).toMatchObject({ up: 1 });
    expect((await vswitchd.ctl<DoctorView>('doctor')).ready).toBe(true);
    expect(await vswitchd.stop()).toMatchObject({ code: 0 });
    const calls = (await records(folder)).flatMap(finishedCalls);
    const newer = calls.filter(({ number }) => number >= callsEnd);
    // What is recorded is the program, not its launcher.
    expect(calls.length).toBeGreaterThan(5_000);
    expect(newer.filter(({ errno }) => errno !== 'ENOSYS')).toEqual([]);
    const names = refusedNames(calls, callsEnd);
    const expected = lacks.map((name) => REFUSED[name]).filter((name) => name !== undefined);
    expect(names).toEqual(expect.arrayContaining(['clone3', ...expected]));
    task.meta.found = names.join(', ');
  });
});

/** What was written of each thread, once all have ended. */
async function records(folder: string): Promise<readonly string[]> {
  return await eventually('the end of all records', async () => {
    const names = await readdir(folder);
    const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
    return texts.every((text) => /\+\+\+ (exited|killed)/.test(text)) && texts;
  });
}

/** A facility by the doctor's name -> what is refused where it lacks. */
const REFUSED: Readonly<Record<string, string>> = {
  recvmmsg: 'recvmmsg',
  sendmmsg: 'sendmmsg',
  udp_gso: 'UDP_SEGMENT',
  udp_gro: 'UDP_GRO',
  uso: 'TUNSETOFFLOAD',
  packet_vnet_hdr: 'PACKET_VNET_HDR',
};

declare module 'vitest' {
  interface TaskMeta {
    /** For the table that the run makes. */
    found?: string;
  }
}
