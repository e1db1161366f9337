// vswitchctl completion: scripts for shells, and the answers that they ask for at each TAB.

import { RootCommand, script, type Command as Target } from '@bomb.sh/tab';
import { Argument, type Command } from 'commander';
import { ControlClient } from '../control/client.js';
import type { Context, Register } from './context.js';

type Shell = 'bash' | 'zsh' | 'fish';
/** Of the running vswitchd; empty where none answers. */
interface Names {
  readonly networks: readonly string[];
  readonly ports: readonly string[];
}

export const registerCompletion: Register = (program, run) => {
  program
    .command('completion')
    .description('print a script with which a shell completes commands, options and names')
    .addArgument(new Argument('<shell>', 'whose').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', LASTING)
    .action(run(async (_, shell: Shell) => script(shell, program.name(), program.name())));
  program
    .command('complete', { hidden: true })
    .description('what the line may go on with; called by the script')
    .argument('[words...]', 'the line after the program, the last word as far as it is typed')
    .action(
      run(async (context, words: readonly string[] = []) => {
        completions(program, await namesOf(context, words)).parse([...words]);
      }),
    );
};

/** The program's commands as the library knows them. It prints the answer itself. */
function completions(program: Command, names: Names): RootCommand {
  const root = new RootCommand();
  describe(root, program, names);
  const add = (parent: Command, path: readonly string[]) => {
    for (const command of parent.createHelp().visibleCommands(parent)) {
      const below = [...path, command.name()];
      describe(root.command(below.join(' '), command.description()), command, names);
      add(command, below);
    }
  };
  add(program, []);
  return root;
}

/** Tells `target` which options and arguments the command takes, and what they may be where that is known. */
function describe(target: Target, command: Command, names: Names): void {
  for (const option of command.createHelp().visibleOptions(command)) {
    const name = option.long?.slice(2);
    if (name === undefined) continue;
    const takesValue = option.required || option.optional;
    const values = option.argChoices ?? (name === 'port' ? names.ports : []);
    if (takesValue) target.option(name, option.description, offering(values));
    else target.option(name, option.description);
  }
  for (const argument of command.registeredArguments) {
    const values = argument.argChoices ?? namesFor(command, argument.name(), names);
    target.argument(argument.name(), offering(values), argument.variadic);
  }
}

/** `network` is one everywhere; `name` is what its command is about, unless that makes it. */
function namesFor(command: Command, argument: string, names: Names): readonly string[] {
  if (argument === 'network') return names.networks;
  if (argument !== 'name' || command.name() === 'add') return [];
  return command.parent?.name() === 'port' ? names.ports : names.networks;
}

function offering(values: readonly string[]) {
  return (offer: (value: string, description: string) => void) => {
    for (const value of values) offer(value, '');
  };
}

/** Asks the daemon that the line names, for a moment. */
async function namesOf(context: Context, words: readonly string[]): Promise<Names> {
  const at = words.indexOf('--socket');
  const socket = (at < 0 ? undefined : words[at + 1]) ?? context.socket;
  const client = new ControlClient({ socket, signal: context.signal, patience: A_MOMENT });
  try {
    const [networks, ports] = await Promise.all([client.networks(), client.ports()]);
    return { networks: networks.map(nameOf), ports: ports.map(nameOf) };
  } catch {
    // Whoever types learns of it from the command itself.
    return { networks: [], ports: [] };
  } finally {
    await client.close();
  }
}

const nameOf = ({ name }: { readonly name: string }) => name;

/** Milliseconds. */
const A_MOMENT = { usual: 500, long: 500 };
const LASTING = `
bash (with the package bash-completion), in ~/.bashrc:
    source <(vswitchctl completion bash)
zsh, in ~/.zshrc after compinit:
    source <(vswitchctl completion zsh)
fish:
    vswitchctl completion fish > ~/.config/fish/completions/vswitchctl.fish`;
