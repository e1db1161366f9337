// The few files of packages that the page's modules import from `/lib/`, as the packages ship them for
// browsers. What one of them imports from another gets the path that it has here: browsers know no
// packages, and our content security policy allows no import map in the page.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

interface Library {
  readonly package: string;
  readonly file: string;
}

const LIBRARIES: Readonly<Record<string, Library>> = {
  'preact.js': { package: 'preact', file: 'dist/preact.module.js' },
  'hooks.js': { package: 'preact', file: 'hooks/dist/hooks.module.js' },
  'htm.js': { package: 'htm', file: 'dist/htm.module.js' },
  'uplot.js': { package: 'uplot', file: 'dist/uPlot.esm.js' },
  'uplot.css': { package: 'uplot', file: 'dist/uPlot.min.css' },
};

/** Adds `/lib/NAME` for each; they are read now. */
export async function addLibraries(server: FastifyInstance): Promise<void> {
  for (const [name, library] of Object.entries(LIBRARIES)) {
    const text = adapted(await readFile(pathOf(library), 'utf8'));
    const type = name.endsWith('.css') ? 'text/css' : 'text/javascript';
    server.get(`/lib/${name}`, (_request, reply) =>
      reply.type(`${type}; charset=utf-8`).send(text),
    );
  }
}

function adapted(text: string): string {
  return text
    .replace(/\bfrom\s*"preact"/g, 'from"./preact.js"')
    .replace(/^\/\/# sourceMappingURL=.*$/gm, '');
}

/** Packages do not export all of these files by name; the main file of each lies in its `dist`. */
function pathOf({ package: name, file }: Library): string {
  const main = createRequire(import.meta.url).resolve(name);
  return join(dirname(dirname(main)), file);
}
