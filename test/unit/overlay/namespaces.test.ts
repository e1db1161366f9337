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
  expect(await namespaceAt(path)).toBe(first);
  // Both files exist at once, so that the inode cannot be used again.
  await writeFile(join(folder, 'other'), '');
  expect(await namespaceAt(join(folder, 'other'))).not.toBe(first);
});

it('knows our own', async () => {
  expect(await namespaceAt('/proc/self/ns/net')).toMatch(/^\d+:\d+$/);
});
