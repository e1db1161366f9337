// What bash itself makes of the script, with the daemon's names in it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, it, onTestFinished } from 'vitest';
import { FakeDaemon } from '../../support/fakeDaemon.js';
import { FakeHost } from '../../support/fakeDatapath.js';

const vswitchctl = fileURLToPath(new URL('../../../dist/bin/vswitchctl.js', import.meta.url));
const NETWORKS = `networks:
  - {name: net1, vni: 300, ports: [{name: c1, netns: c1}]}
  - {name: net2, vni: 301}
`;

/** As readline does at TAB: calls the function that the script registered, with the line in COMP_…. */
const AT_TAB = `
source /usr/share/bash-completion/bash_completion
source <(vswitchctl completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
COMP_POINT=\${#COMP_LINE}
registered=$(complete -p vswitchctl)
[[ $registered =~ -F\\ ([^ ]+) ]] && "\${BASH_REMATCH[1]}" vswitchctl "\${@: -1}" "\${@: -2:1}"
printf '%s\\n' "\${COMPREPLY[@]}"
`;

/** A folder for PATH in which `vswitchctl` is the built one, of this daemon. */
async function programs(socket: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vswitchd-bash-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const lines = [
    '#!/bin/sh',
    `exec '${process.execPath}' '${vswitchctl}' --socket '${socket}' "$@"`,
  ];
  await writeFile(join(folder, 'vswitchctl'), lines.join('\n'), { mode: 0o755 });
  return folder;
}

it('completes commands, options, and names of the running daemon', async () => {
  const host = new FakeHost();
  host.namespaces.set('/run/netns/c1', 'c1');
  const fake = await FakeDaemon.running(NETWORKS, host);
  const PATH = `${await programs(fake.socket)}:${process.env.PATH}`;
  const offered = async (...words: string[]) => {
    const shell = ['--noprofile', '--norc', '-c', AT_TAB, 'bash', 'vswitchctl', ...words];
    const { stdout } = await execa('bash', shell, { env: { PATH } });
    return stdout.split('\n');
  };
  expect(await offered('netw')).toEqual(['network']);
  expect(await offered('port', 'add', '')).toEqual(['net1', 'net2']);
  expect(await offered('port', 'rm', '')).toEqual(['c1']);
  expect(await offered('port', 'add', 'net1', '--root')).toEqual(['--rootless']);
  expect(await offered('port', 'rm', 'nobody')).toEqual(['']);
});
