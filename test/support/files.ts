import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from './scope.js';

/** A folder that goes with its scope. */
export async function makeFolder(scope: Scope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-'));
  await scope.defer(`folder ${folder}`, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A file in a folder of its own; gives its path. */
export async function makeFile(scope: Scope, content: string): Promise<string> {
  const path = join(await makeFolder(scope), 'file');
  await writeFile(path, content);
  return path;
}
