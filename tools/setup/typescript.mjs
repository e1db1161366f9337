// The daemon, the CLI and the page's files: src/ -> dist/.
import { chmodSync, cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './child.mjs';
import { filesBelow, stamp } from './stamp.mjs';

const programs = ['vswitchd', 'vswitchctl', 'vswitch-cni'].map((name) => `dist/bin/${name}.js`);
/** What browsers get as it stands. */
const page = { from: 'src/page/static', to: 'dist/page/static' };

/** Compiles TypeScript and removes from dist/ what no source stands for any more. */
export function typescript() {
  const compiler = join(root, 'node_modules/typescript/package.json');
  const version = existsSync(compiler) ? JSON.parse(readFileSync(compiler, 'utf8')).version : '';
  const memory = stamp('typescript', {
    inputs: ['src', 'tsconfig.json'],
    outputs: [...programs, page.to],
    facts: [version],
  });
  return {
    title: 'Compiling TypeScript',
    isFresh: memory.isFresh,
    work: async (command) => {
      await command(join(root, 'node_modules/.bin/tsc'), ['--noEmitOnError', '--pretty', 'false']);
      removeLeftovers();
      // Container runtimes run the file itself, as npm's links do.
      for (const program of programs) chmodSync(join(root, program), 0o755);
      cpSync(join(root, page.from), join(root, page.to), { recursive: true });
      memory.remember();
    },
  };
}

function removeLeftovers() {
  rmSync(join(root, page.to), { recursive: true, force: true });
  for (const file of filesBelow(root, 'dist')) {
    const source = file.replace(/^dist/, 'src').replace(/(\.d\.ts|\.js(\.map)?)$/, '.ts');
    if (source.endsWith('.ts') && !existsSync(join(root, source))) rmSync(join(root, file));
  }
}
