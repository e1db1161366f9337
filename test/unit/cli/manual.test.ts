// The manual as built: it tells every command and option of the programs.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { controlProgram } from '../../../src/cli/program.js';
import { daemonProgram } from '../../../src/daemon/options.js';

const fileOf = (name: string) =>
  fileURLToPath(new URL(`../../../dist/man/${name}.8`, import.meta.url));
const pageOf = (name: string) => readFileSync(fileOf(name), 'utf8');

/** Every option of the command and of those below it, as `PATH --OPTION`. */
function optionsOf(command: Command, path: readonly string[]): string[] {
  const own = command.options
    .filter(({ hidden }) => !hidden)
    .map(({ long }) => [...path, long].join(' '));
  const below = command.createHelp().visibleCommands(command);
  const deeper = below.filter((child) => child.name() !== 'help');
  return [...own, ...deeper.flatMap((child) => optionsOf(child, [...path, child.name()]))];
}

/** The same, as the page has them. */
function optionsIn(page: string): string[] {
  let path = '';
  return page.split('\n').flatMap((line) => {
    const command = /^\.It Cm ([a-z ]*[a-z])/.exec(line)?.[1];
    if (command !== undefined) path = `${command} `;
    const option = /^\.It (?:Fl \w , )?Fl Fl ([a-z-]+)/.exec(line)?.[1];
    return option === undefined ? [] : [`${path}--${option}`];
  });
}

it.each([
  { name: 'vswitchd', program: daemonProgram() },
  { name: 'vswitchctl', program: controlProgram(() => async () => {}) },
])('of $name has its options, and no others', ({ name, program }) => {
  expect(optionsIn(pageOf(name))).toEqual(optionsOf(program, []));
});

it('has every command', () => {
  const leaves = (command: Command, path: readonly string[]): string[] => {
    const below = command.createHelp().visibleCommands(command);
    const named = below.filter((child) => child.name() !== 'help');
    if (named.length === 0) return [path.join(' ')];
    return named.flatMap((child) => leaves(child, [...path, child.name()]));
  };
  const page = pageOf('vswitchctl');
  for (const path of leaves(
    controlProgram(() => async () => {}),
    [],
  )) {
    expect(page).toMatch(new RegExp(`^\\.It Cm ${path}( (Ar|Op) |$)`, 'm'));
  }
});

it.each(['vswitchd', 'vswitchctl'])('of %s is mdoc without a fault', (name) => {
  // Exits with 2 and more from warnings on.
  const said = execFileSync('mandoc', ['-T', 'lint', '-W', 'warning,stop', fileOf(name)]);
  expect(String(said)).toBe('');
});
