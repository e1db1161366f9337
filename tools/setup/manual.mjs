// The manual: packaging/man/NAME.8.in and what the programs say of their own options and commands -> dist/man/NAME.8.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './child.mjs';
import { stamp } from './stamp.mjs';

const pages = ['vswitchd', 'vswitchctl'];

/** After TypeScript is compiled. */
export function manual() {
  const memory = stamp('manual', {
    inputs: ['packaging/man', 'dist/cli', 'dist/daemon/options.js', 'tools/setup/manual.mjs'],
    outputs: pages.map((name) => `dist/man/${name}.8`),
    facts: [],
  });
  return {
    title: 'Writing the manual',
    isFresh: memory.isFresh,
    work: async () => {
      const { daemonProgram } = await compiled('daemon/options.js');
      const { controlProgram } = await compiled('cli/program.js');
      const programs = { vswitchd: daemonProgram(), vswitchctl: controlProgram(() => () => {}) };
      mkdirSync(join(root, 'dist/man'), { recursive: true });
      for (const name of pages) {
        const text = readFileSync(join(root, `packaging/man/${name}.8.in`), 'utf8');
        writeFileSync(join(root, `dist/man/${name}.8`), page(text, programs[name]));
      }
      memory.remember();
    },
  };
}

function compiled(file) {
  return import(pathToFileURL(join(root, 'dist', file)).href);
}

/** `text` with the program's options and commands in their places, as mdoc(7). */
function page(text, program) {
  return text
    .replace('@OPTIONS@', () => options(program))
    .replace('@COMMANDS@', () => list(commandsBelow(program, []).map(commandItem)));
}

/** Commands that do something, each `{ command, path }`. */
function commandsBelow(parent, path) {
  const shown = parent.createHelp().visibleCommands(parent);
  return shown
    .filter((command) => command.name() !== 'help')
    .flatMap((command) => {
      const below = [...path, command.name()];
      const deeper = commandsBelow(command, below);
      const isGroup = deeper.length > 0 && command.options.every(({ hidden }) => hidden);
      return isGroup ? deeper : [{ command, path: below }, ...deeper];
    });
}

function commandItem({ command, path }) {
  const words = command.registeredArguments.map(argumentWords);
  const head = `.It Cm ${[...path.map(escaped), ...words].join(' ')}`;
  return [head, ...paragraphs(command.description()), options(command)].filter(Boolean).join('\n');
}

function argumentWords(argument) {
  const dots = argument.variadic ? ' ...' : '';
  const word = `Ar ${escaped(argument.name())}${dots}`;
  return argument.required ? word : `Op ${word}`;
}

function options(command) {
  const help = command.createHelp();
  const shown = help.visibleOptions(command).filter(({ long }) => long !== '--help');
  return list(
    shown.map((option) => {
      const names = [option.short, option.long].filter(Boolean).map(flag).join(' , ');
      const value = /[<[](.+)[>\]]/.exec(option.flags)?.[1];
      const ar = value === undefined ? '' : ` Ar ${escaped(value)}`;
      return [`.It ${names}${ar}`, ...paragraphs(help.optionDescription(option))].join('\n');
    }),
  );
}

function flag(name) {
  return name.startsWith('--') ? `Fl Fl ${escaped(name.slice(2))}` : `Fl ${name.slice(1)}`;
}

function list(items) {
  return items.length === 0 ? '' : `.Bl -tag -width Ds\n${items.join('\n')}\n.El`;
}

/** A sentence, which begins with a capital and ends with a period. */
function paragraphs(text) {
  if (text === '') return [];
  const sentence = text[0].toUpperCase() + text.slice(1) + (/[.)]$/.test(text) ? '' : '.');
  return sentence
    .split('\n')
    .map((line) => (/^[.']/.test(line) ? `\\&${escaped(line)}` : escaped(line)));
}

function escaped(text) {
  return text.replaceAll('\\', '\\e');
}
