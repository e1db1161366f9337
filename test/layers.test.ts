/**
 * Who may import whom. A part of the house that reaches into another one that it must not know fails
 * here, with the file and the line's target.
 *
 *   src      model <- everything; cli -> control/client, capture; cni -> control/client, config;
 *            datapath/ alone loads the addon;
 *            store, docker, capture and control never see each other: the daemon wires them
 *   native   wire <- switch, offload, filter <- engine -> io; switch, filter and io never name each other;
 *            config is the desired state as plain data, which all but wire may read
 */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const top = fileURLToPath(new URL('../', import.meta.url));

interface Arrow {
  readonly file: string;
  /** Path below src/ without suffix, or the module's path inside the crate, or a package's name. */
  readonly target: string;
}

function filesBelow(folder: string, suffix: string): string[] {
  return readdirSync(join(top, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix) && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name))
    .sort();
}

/** Comments may name anything; they are blanked so that only code counts. Strings stay. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

function typescriptArrows(file: string, source: string): Arrow[] {
  const specifier = /(?:\bfrom|\bimport|\bimport\(|\brequire\()\s*['"]([^'"\n]+)['"]/g;
  return [...withoutComments(source).matchAll(specifier)].map(([, name = '']) => ({
    file,
    target: name.startsWith('.')
      ? relative('src', join(dirname(file), name)).replace(/\.js$/, '')
      : name,
  }));
}

/**
 * Paths that a Rust file names, from the crate's root: `crate::…`, `super::…` and `self::…` in uses and in
 * code, with nested braces opened (`use crate::{io, wire::{a, b}}` names io, wire::a and wire::b).
 */
function rustArrows(file: string, source: string): Arrow[] {
  const inside = relative('native/datapath/src', file).replace(/\.rs$/, '').split(sep);
  const module = inside.filter(
    (part, i) => !(i === inside.length - 1 && ['mod', 'lib'].includes(part)),
  );
  const code = withoutComments(source);
  const arrows: Arrow[] = [];
  for (const match of code.matchAll(/\b(crate|(?:self::)?super(?:::super)*|self)\s*::\s*/g)) {
    const [whole, start = ''] = match;
    const up = start.split('::').filter((word) => word === 'super').length;
    const base = start === 'crate' ? [] : module.slice(0, module.length - up);
    for (const tail of opened(code.slice(match.index + whole.length))) {
      arrows.push({ file, target: [...base, ...tail].join('::') });
    }
  }
  return arrows;
}

/** The paths at the start of `text`: `a::{b, c::d}` is a::b and a::c::d. */
function opened(text: string): string[][] {
  const name = /^\s*(\w+|\*)/.exec(text);
  if (name) {
    const rest = text.slice(name[0].length);
    const next = /^\s*::\s*/.exec(rest);
    const tails = next ? opened(rest.slice(next[0].length)) : [[]];
    return tails.map((tail) => [name[1] ?? '', ...tail]);
  }
  const brace = /^\s*\{/.exec(text);
  if (!brace) return [[]];
  return splitAtCommas(text.slice(brace[0].length)).flatMap(opened);
}

/** The parts between commas up to the brace that closes. */
function splitAtCommas(text: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const letter of text) {
    if (letter === '}' && depth === 0) break;
    depth += Number(letter === '{') - Number(letter === '}');
    if (letter === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += letter;
  }
  return parts.filter((part) => part.trim() !== '');
}

function read(file: string): string {
  return readFileSync(join(top, file), 'utf8');
}

function forbidden(arrows: readonly Arrow[], isAllowed: (arrow: Arrow) => boolean): string[] {
  return arrows
    .filter((arrow) => !isAllowed(arrow))
    .map(({ file, target }) => `${file} -> ${target}`);
}

describe('TypeScript', () => {
  const sources = filesBelow('src', '.ts');
  const arrows = sources.flatMap((file) => typescriptArrows(file, read(file)));
  const of = (folder: string) => arrows.filter(({ file }) => file.startsWith(`src/${folder}/`));
  const within = (target: string, ...folders: string[]) =>
    folders.some((folder) => target === folder || target.startsWith(`${folder}/`));
  const ours = readdirSync(join(top, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

  it('reads the sources', () => {
    expect(arrows.length).toBeGreaterThan(sources.length / 2);
  });

  it('model imports nothing but model', () => {
    expect(
      forbidden(of('model'), ({ target }) => within(target, 'model') || target.startsWith('node:')),
    ).toEqual([]);
  });

  it('cli reaches the daemon only through control/client; what needs no daemon is in capture', () => {
    const allowed = ['cli', 'model', 'control/client', 'capture'];
    expect(
      forbidden(of('cli'), ({ target }) => !within(target, ...ours) || within(target, ...allowed)),
    ).toEqual([]);
  });

  it('config and datapath know nothing above them', () => {
    for (const folder of ['config', 'datapath']) {
      expect(
        forbidden(
          of(folder),
          ({ target }) => !within(target, ...ours) || within(target, folder, 'model'),
        ),
      ).toEqual([]);
    }
  });

  it('page knows the API and nothing behind it', () => {
    const allowed = ['page', 'model', 'config', 'control'];
    expect(
      forbidden(of('page'), ({ target }) => !within(target, ...ours) || within(target, ...allowed)),
    ).toEqual([]);
  });

  it('cni reaches the daemon only through control/client', () => {
    const allowed = ['cni', 'model', 'config', 'control/client'];
    expect(
      forbidden(of('cni'), ({ target }) => !within(target, ...ours) || within(target, ...allowed)),
    ).toEqual([]);
  });

  it('only datapath loads the addon', () => {
    const loaders = sources.filter((file) => /\.node\b['"`]/.test(withoutComments(read(file))));
    expect(loaders.filter((file) => !file.startsWith('src/datapath/'))).toEqual([]);
    // The daemon asks datapath/binding for the addon, to hand it on.
    const binding = arrows.filter(({ target }) => within(target, 'datapath/binding'));
    expect(
      forbidden(binding, ({ file }) => /^src\/(datapath|daemon|handover)\//.test(file)),
    ).toEqual([]);
  });

  it('store, docker, capture and control never import each other', () => {
    const parts = ['store', 'docker', 'capture', 'control'];
    for (const part of parts) {
      const others = parts.filter((other) => other !== part);
      expect(forbidden(of(part), ({ target }) => !within(target, ...others))).toEqual([]);
    }
  });

  it('capture knows model alone', () => {
    expect(
      forbidden(
        of('capture'),
        ({ target }) => !within(target, ...ours) || within(target, 'capture', 'model'),
      ),
    ).toEqual([]);
  });

  it('bin only hands over to cli, cni, daemon and handover', () => {
    expect(
      forbidden(
        of('bin'),
        ({ target }) =>
          !within(target, ...ours) || within(target, 'cli', 'cni', 'daemon', 'handover'),
      ),
    ).toEqual([]);
  });
});

describe('Rust', () => {
  const sources = filesBelow('native/datapath/src', '.rs');
  const of = (layer: string) =>
    sources
      .filter(
        (file) =>
          file.startsWith(`native/datapath/src/${layer}/`) ||
          file === `native/datapath/src/${layer}.rs`,
      )
      .flatMap((file) => rustArrows(file, read(file)));
  const layers = ['wire', 'switch', 'offload', 'filter', 'engine', 'io', 'config', 'event'];
  const names = (target: string, layer: string) =>
    target === layer || target.startsWith(`${layer}::`);

  /** Of the crate's layers, `layer` may name itself and `below`. */
  const expectOnly = (layer: string, ...below: string[]) => {
    const strangers = layers.filter((other) => other !== layer && !below.includes(other));
    expect(
      forbidden(of(layer), ({ target }) => !strangers.some((stranger) => names(target, stranger))),
    ).toEqual([]);
  };

  it('wire imports nothing of the crate', () => {
    expect(forbidden(of('wire'), ({ target }) => names(target, 'wire'))).toEqual([]);
  });

  it('config is plain data', () => expectOnly('config', 'wire'));

  it('switch decides on headers and rules alone', () => expectOnly('switch', 'wire', 'config'));

  it('offload knows wire alone', () => expectOnly('offload', 'wire'));

  it('filter knows wire alone', () => expectOnly('filter', 'wire'));

  it('io never names switch, offload, filter or engine', () => expectOnly('io', 'wire', 'config'));

  it('nothing names the engine but the crate root and the engine', () => {
    const users = sources.filter((file) => !/\/src\/(engine\/|engine\.rs|lib\.rs)/.test(file));
    const arrows = users.flatMap((file) => rustArrows(file, read(file)));
    expect(forbidden(arrows, ({ target }) => !names(target, 'engine'))).toEqual([]);
  });

  it('unsafe and libc stand in io alone', () => {
    const outside = [...sources, ...filesBelow('native/binding/src', '.rs')].filter(
      (file) => !file.startsWith('native/datapath/src/io/'),
    );
    expect(outside.filter((file) => /\b(unsafe|libc)\b/.test(withoutComments(read(file))))).toEqual(
      [],
    );
  });
});

describe('the reader of imports', () => {
  it('finds TypeScript imports of all forms', () => {
    const source = `import { a } from '../model/mac.js';
import './side.js'; // import '../no.js'
export type { B } from "./b.js";
const c = await import('../store/local.js');`;
    expect(typescriptArrows('src/cli/show.ts', source).map(({ target }) => target)).toEqual([
      'model/mac',
      'cli/side',
      'cli/b',
      'store/local',
    ]);
  });

  it('finds Rust paths of all forms', () => {
    const source = `use crate::{io, wire::{vxlan, ip::{self, V4}}};
use super::fdb::Fdb; // crate::engine
fn f() { let x = super::super::io::open(); self::g(); }
/* crate::offload */ use std::io::Read;`;
    expect(
      rustArrows('native/datapath/src/switch/bridge.rs', source).map(({ target }) => target),
    ).toEqual([
      'io',
      'wire::vxlan',
      'wire::ip::self',
      'wire::ip::V4',
      'switch::fdb::Fdb',
      'io::open',
      'switch::bridge::g',
    ]);
  });
});
