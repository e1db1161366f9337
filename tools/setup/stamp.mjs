// Remembers what a step was made from, so that it is done again only when that changes.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './child.mjs';

/**
 * A step's memory. `inputs` and `outputs` are files or folders below the top folder, `facts` are other strings that
 * the result depends on (versions, arguments). The step is fresh while every output is there and nothing of these
 * has changed, in content, since `remember` was called. What is remembered are the inputs as `isFresh` saw them, so
 * that a source that changes during a build is built again.
 */
export function stamp(name, { inputs, outputs, facts, folder = root }) {
  const file = join(folder, 'dist/.stamps', name);
  let seen = '';
  return {
    isFresh: () => {
      seen = fingerprint(folder, inputs, facts);
      return (
        outputs.every((path) => existsSync(join(folder, path))) &&
        existsSync(file) &&
        readFileSync(file, 'utf8') === `${seen} ${fingerprint(folder, outputs, [])}`
      );
    },
    remember: () => {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${seen} ${fingerprint(folder, outputs, [])}`);
    },
  };
}

function fingerprint(folder, paths, facts) {
  const hash = createHash('sha256');
  for (const fact of facts) hash.update(`${fact}\0`);
  for (const path of paths) {
    for (const file of filesBelow(folder, path)) {
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(folder, file)))
        .update('\0');
    }
  }
  return hash.digest('hex');
}

/** The files at or below `path` in a fixed order, without what cargo builds. A path that is not there has none. */
export function filesBelow(folder, path) {
  const stat = statSync(join(folder, path), { throwIfNoEntry: false });
  if (stat === undefined) return [];
  if (stat.isFile()) return [path];
  return readdirSync(join(folder, path))
    .filter((name) => name !== 'target')
    .sort()
    .flatMap((name) => filesBelow(folder, join(path, name)));
}
