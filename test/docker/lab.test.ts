/** The lab itself: what it makes it takes away, also when nobody could ask it to. */

import { existsSync, readdirSync } from 'node:fs';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { folderOf, takeDownAbandoned } from '../../tools/lab/leftovers.mjs';
import { Child } from '../support/child.js';
import { runPrefix } from '../support/netns.js';
import { testScope } from '../support/testScope.js';

const lab = new URL('../../tools/lab/dockerLab.mjs', import.meta.url).href;

/** Command lines of all processes of this machine that name the lab. */
async function processesOf(name: string): Promise<readonly string[]> {
  const { stdout } = await execa('ps', ['-eo', 'args']);
  return stdout.split('\n').filter((line) => line.includes(name));
}

it('takes away what a killed process has left: dockerd, containers, namespaces, cgroups, files', async () => {
  const scope = testScope();
  const name = `${runPrefix()}-killed`;
  const script = `
    import { DockerLab, dockerCommand } from ${JSON.stringify(lab)};
    const lab = new DockerLab({ name: ${JSON.stringify(name)}, scope: 'local', hosts: 1 });
    await lab.build();
    const [host] = lab.hosts;
    await host.powerOn();
    await lab.startDockerd(host);
    await lab.importImage(host);
    await host.must([...dockerCommand, 'run', '-d', 'bb']);
    console.log('it stands');
    setInterval(() => {}, 1000);`;
  const args = ['--input-type=module', '-e', script];
  const owner = await Child.start(scope, { command: process.execPath, args });
  await owner.waitForLine(/it stands/, { within: 60_000 });
  owner.signal('SIGKILL');
  await owner.exited;
  expect((await processesOf(name)).join('\n')).toMatch(/dockerd/);

  await takeDownAbandoned();

  expect(await processesOf(name)).toEqual([]);
  expect(readdirSync('/run/netns').filter((entry) => entry.startsWith(name))).toEqual([]);
  expect(existsSync(folderOf(name))).toBe(false);
  const cgroups = readdirSync('/sys/fs/cgroup').map((entry) => `/sys/fs/cgroup/${entry}/${name}`);
  expect(cgroups.filter((path) => existsSync(path))).toEqual([]);
});
