import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { namespaceAt } from '../../../src/overlay/namespaces.js';

it('is the same as long as the file is, and another when it was made anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'ns');
  expect(await namespaceAt(path)).toBeUndefined();
  await writeFile(path, '');
  const first = await namespaceAt(path);
  expect(await namespaceAt(path)).toEqual(first);
  // Both files exist at once, so that the inode cannot be used again.
  await writeFile(join(folder, 'other'), '');
  expect(await namespaceAt(join(folder, 'other'))).not.toEqual(first);
});

it('knows our own', async () => {
  expect((await namespaceAt('/proc/self/ns/net'))?.namespace).toMatch(/^\d+:\d+$/);
});

it('of a process says which process: its start time and boot', async () => {
  const path = `/proc/${process.pid}/ns/net`;
  const sight = await namespaceAt(path);
  expect(sight?.process).toMatchObject({ pid: process.pid, namespace: sight?.namespace });
  expect(sight?.process?.start).toMatch(/^\d+$/);
  expect(sight?.process?.boot).toMatch(/^[0-9a-f-]{36}$/);
  expect(await namespaceAt(`/proc//${process.pid}/./ns/net`)).toEqual(sight);
});
