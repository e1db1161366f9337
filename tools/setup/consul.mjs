// Consul's agent for the tests: built by Go's client from the modules that tools/consul/go.mod names.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, SetupError, which } from './child.mjs';
import { stamp } from './stamp.mjs';

const folder = 'tools/consul';
export const consulProgram = 'dist/tools/consul';

/** Takes minutes, and a few GB of Go's caches. */
export function consulAgent() {
  const memory = stamp('consul', {
    inputs: [folder],
    outputs: [consulProgram],
    facts: [process.arch],
  });
  return {
    title: 'Compiling Consul (Go)',
    isFresh: memory.isFresh,
    work: async (command) => {
      const go = await requireGo();
      const flags = ['-trimpath', '-ldflags=-s -w', '-o', join(root, consulProgram)];
      await command(go, ['build', ...flags, 'github.com/hashicorp/consul'], {
        cwd: join(root, folder),
        env: { CGO_ENABLED: '0' },
      });
      memory.remember();
    },
  };
}

/** The path of a Go that is new enough, from PATH or from where its own installation puts it. */
async function requireGo() {
  const usual = '/usr/local/go/bin/go';
  const go = which('go') ?? (existsSync(usual) ? usual : undefined);
  const needed = /^go (\S+)$/m.exec(readFileSync(join(root, folder, 'go.mod'), 'utf8'))[1];
  const remedy = `Install Go ${needed} or newer (https://go.dev/doc/install), and run this again.`;
  if (go === undefined) throw new SetupError(`go is missing. ${remedy}`);
  const { output } = await run(go, ['version']);
  const version = /go(\d+[\d.]*)/.exec(output)?.[1];
  if (version === undefined || version.localeCompare(needed, undefined, { numeric: true }) < 0) {
    throw new SetupError(`${output.trim()} is too old. ${remedy}`);
  }
  return go;
}
