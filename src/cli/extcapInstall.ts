// vswitchctl extcap install

import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { SCRIPT_MARK, scriptText } from '../capture/extcap.js';
import { SwitchError } from '../model/error.js';
import { type Context, type Runner, show } from './context.js';

interface InstallOptions {
  readonly dir?: string;
  readonly remove?: true;
}

export function registerExtcapInstall(extcap: Command, run: Runner): void {
  extcap
    .command('install')
    .description("put the script that Wireshark calls into this user's folder of Wireshark")
    .option('--dir <folder>', 'another folder for it')
    .option('--remove', 'take it away again')
    // People type this one.
    .allowExcessArguments(false)
    .action(
      run(async (context, options: InstallOptions) => {
        const path = join(options.dir ?? (await personalFolder()), 'vswitchd');
        const there = await ourScript(path);
        if (options.remove) await remove(context, path, there);
        else await install(context, path, there);
      }),
    );
}

async function install(context: Context, path: string, there: string | undefined): Promise<void> {
  const program = fileURLToPath(new URL('../bin/vswitchctl.js', import.meta.url));
  // Wireshark starts it in a folder of its own.
  const script = scriptText([process.execPath, program], resolve(context.socket));
  const changed = script !== there;
  if (changed) {
    await used(path, async () => {
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, script);
      await chmod(path, 0o755);
    });
  }
  show(context, { path, changed }, () =>
    changed ? `installed ${path}; \`tshark -D\` shows the interfaces` : `${path} is in place`,
  );
}

async function remove(context: Context, path: string, there: string | undefined): Promise<void> {
  const changed = there !== undefined;
  if (changed) await used(path, () => rm(path));
  show(context, { path, changed }, () => (changed ? `removed ${path}` : `${path} is not there`));
}

/** The script that is there. Throws CONFLICT when it is somebody else's. */
async function ourScript(path: string): Promise<string | undefined> {
  const text = await used(path, () => readFile(path, 'utf8').catch(unlessMissing));
  if (text === undefined || text.includes(SCRIPT_MARK)) return text;
  throw new SwitchError('CONFLICT', path, {
    why: 'a file of that name is there and is not ours',
    fix: 'move it away, or choose another folder with --dir',
  });
}

/**
 * Where this user's Wireshark looks for extcap programs, as it says itself: the folder has a line of its own since 4.2,
 * and was below the configuration before. Without Wireshark: where a new one would look.
 */
async function personalFolder(): Promise<string> {
  const { stdout: folders } = await promisify(execFile)('tshark', ['-G', 'folders']).catch(() => ({
    stdout: '',
  }));
  const own = /^Personal Extcap path:\s*(\S.*)$/im.exec(folders)?.[1];
  if (own !== undefined) return own;
  const configuration = /^Personal configuration:\s*(\S.*)$/im.exec(folders)?.[1];
  return configuration === undefined
    ? join(homedir(), '.local/lib/wireshark/extcap')
    : join(configuration, 'extcap');
}

async function used<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    throw new SwitchError('EXTCAP_FOLDER', path, { detail: message });
  }
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}
