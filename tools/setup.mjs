// Makes everything that a command needs and is not there yet. Needs Node, npm and Rust, nothing else.
//
//   node tools/setup.mjs [build | demo | docker | page | screens | test | …]     (default: test)
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, SetupError } from './setup/child.mjs';
import { consulAgent } from './setup/consul.mjs';
import {
  buildPrograms,
  cniPrograms,
  debianPackages,
  demoPrograms,
  dockerPrograms,
  microvmPrograms,
  nativePrograms,
  oldKernelPrograms,
  packageTestPrograms,
  pagePrograms,
  rootlessPrograms,
  screensPrograms,
  storePrograms,
  testPrograms,
  unitPrograms,
} from './setup/debian.mjs';
import { debianKernel } from './setup/debianKernel.mjs';
import { manual } from './setup/manual.mjs';
import { nativeAddon } from './setup/native.mjs';
import { addonPackage, npmPackages } from './setup/npm.mjs';
import { oldKernelLauncher } from './setup/oldKernel.mjs';
import { step } from './setup/progress.mjs';
import { releasedTargets, targetSteps } from './setup/released.mjs';
import { fetchToolchain } from './setup/toolchain.mjs';
import { typescript } from './setup/typescript.mjs';

const addon = [() => fetchToolchain(), nativeAddon];

/** What each goal takes, in order. A step is `{ title, isFresh(), work(command) }`, made when its turn comes. */
const goals = {
  packages: [npmPackages],
  control: [npmPackages, typescript],
  native: [() => debianPackages(nativePrograms)],
  build: [() => debianPackages(buildPrograms), npmPackages, ...addon, typescript, manual],
  package: [
    () => debianPackages(buildPrograms),
    npmPackages,
    ...addon,
    typescript,
    manual,
    ...releasedTargets().flatMap(targetSteps),
  ],
  'test-package': [() => debianPackages(packageTestPrograms), npmPackages],
  unit: [() => debianPackages(unitPrograms), npmPackages, ...addon, typescript, manual],
  store: [() => debianPackages(storePrograms), npmPackages, typescript],
  consul: [() => debianPackages(storePrograms), npmPackages, typescript, consulAgent],
  demo: [() => debianPackages(demoPrograms), npmPackages, ...addon, typescript],
  page: [() => debianPackages(pagePrograms), npmPackages, ...addon, typescript],
  screens: [() => debianPackages(screensPrograms), npmPackages, ...addon, typescript],
  docker: [() => debianPackages(dockerPrograms), npmPackages, ...addon, typescript],
  microvm: [() => debianPackages(microvmPrograms), npmPackages, ...addon, typescript, debianKernel],
  'old-kernel': [
    () => debianPackages(oldKernelPrograms),
    npmPackages,
    ...addon,
    typescript,
    oldKernelLauncher,
  ],
  rootless: [() => debianPackages(rootlessPrograms), npmPackages, ...addon, typescript],
  cni: [() => debianPackages(cniPrograms), npmPackages, ...addon, typescript],
  test: [
    () => debianPackages(testPrograms),
    npmPackages,
    // With which tests forge packets, and vswitchctl listens on interfaces.
    () => addonPackage('raw-socket'),
    () => addonPackage('pcap'),
    ...addon,
    typescript,
  ],
};

/** Does what is not yet done for `goal`; throws SetupError with the sentence that says what to do. */
export async function setup(goal) {
  const needed = /[\d.]+/.exec(
    JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node,
  )[0];
  if (process.versions.node.localeCompare(needed, undefined, { numeric: true }) < 0) {
    throw new SetupError(
      `Node ${process.versions.node} is too old: vswitchd needs Node ${needed} or newer.`,
    );
  }
  for (const make of goals[goal]) {
    const { title, isFresh, work } = await make();
    if (!isFresh()) await step(title, work);
  }
}

/** Refuses early when this process is not root; `what` needs network namespaces and TAP devices. */
export function requireRoot(what, instead) {
  if (process.getuid() === 0) return;
  throw new SetupError(
    `${what} makes network namespaces and TAP devices, which needs root: ${instead}`,
  );
}

/** Runs a command's main function; a SetupError is one message on stderr and exit code 1. */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`\n${error.message}\n`);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const goal = process.argv[2] ?? 'test';
    if (!Object.hasOwn(goals, goal))
      throw new SetupError(`usage: node tools/setup.mjs [${Object.keys(goals).join(' | ')}]`);
    await setup(goal);
  });
}
