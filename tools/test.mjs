// Runs the tests. Without arguments: everything, as continuous integration does, and then the conformance table.
//
//   node tools/test.mjs [suite ...] [-- arguments for vitest]
//
// Suites: lint, native, unit, property, store, datapath, page, netns, rootless, docker; and those that take too long to be
// part of everything: consul, faults, docker-faults, microvm, old-kernel, cni, package. A suite that cannot run here fails;
// none is skipped.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { resultsOfCargo } from './conformance/cargoOutput.mjs';
import { oldKernels } from './conformance/oldKernels.mjs';
import { conformance } from './conformance/table.mjs';
import { vitestResults } from './conformance/vitestReporter.mjs';
import { root, run, SetupError } from './setup/child.mjs';
import { requireCargo } from './setup/native.mjs';
import { main, requireRoot, setup } from './setup.mjs';

/** What each suite needs. */
const goalOf = {
  lint: 'packages',
  native: 'native',
  unit: 'unit',
  property: 'build',
  store: 'store',
  consul: 'consul',
  datapath: 'build',
  page: 'page',
  netns: 'test',
  faults: 'store',
  docker: 'docker',
  'docker-faults': 'docker',
  microvm: 'microvm',
  'old-kernel': 'old-kernel',
  rootless: 'rootless',
  cni: 'cni',
  package: 'test-package',
};
const suites = Object.keys(goalOf);
const projects = suites.filter((suite) => suite !== 'lint' && suite !== 'native');
const reach = ['microvm', 'old-kernel', 'cni', 'package'];
const needRoot = ['netns', 'rootless', 'docker', 'docker-faults', ...reach];
const long = ['consul', 'faults', 'docker-faults', ...reach];
const everything = suites.filter((suite) => !long.includes(suite));
const instead =
  'run it with sudo, or `npm run test:unit`, `npm run test:datapath` and `npm run test:native` without.';

await main(async () => {
  const [chosen, extra] = readArguments(process.argv.slice(2));
  const full = chosen.length === 0;
  const wanted = full ? everything : chosen;
  if (wanted.some((suite) => needRoot.includes(suite))) requireRoot('This', instead);
  for (const goal of new Set(wanted.map((suite) => goalOf[suite]))) await setup(goal);

  const verdicts = [];
  const results = [];
  if (wanted.includes('lint')) verdicts.push(['lint', await lint()]);
  if (wanted.includes('native')) verdicts.push(['native', await native(results)]);
  const chosenProjects = projects.filter((project) => wanted.includes(project));
  if (chosenProjects.length > 0) {
    const passed = await vitest(chosenProjects, extra, results);
    const broken = (project) => counted(results, project, 'failed') > 0;
    // A failure of no test, as a file that does not load, is one of them all.
    const guilty = chosenProjects.some(broken) ? broken : () => !passed;
    const isEmpty = (project) => full && counted(results, project, 'passed') === 0;
    for (const project of chosenProjects) {
      verdicts.push([project, !guilty(project) && !isEmpty(project)]);
    }
  }
  // Not of a part of the suite.
  if (extra.length === 0) writeOldKernels(results);
  if (full) verdicts.push(['conformance', writeConformance(results)]);
  return summarise(verdicts, results);
});

function readArguments(args) {
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  const chosen = args.slice(0, end);
  const unknown = chosen.find((suite) => !suites.includes(suite));
  if (unknown !== undefined) {
    throw new SetupError(`There is no suite "${unknown}"; there are: ${suites.join(', ')}.`);
  }
  return [chosen, args.slice(end + 1)];
}

/** Formatting, lint and the types of the tests. */
async function lint() {
  const biome = await show('node_modules/.bin/biome', ['check', '--error-on-warnings', '.']);
  const types = await show('node_modules/.bin/tsc', ['--project', 'test', '--noEmit']);
  return biome && types;
}

/**
 * Formatting and clippy of all Rust, the benchmarks' traffic source and the launcher for old kernels too, and the tests of
 * both crates; puts the tests' results into `results`.
 */
async function native(results) {
  await requireCargo();
  const cwd = join(root, 'native');
  const isTidy = await tidy(cwd);
  const isBlastTidy = await tidy(join(root, 'bench/blast'));
  const isLauncherFine = await launcher();
  const onOutput = (text) => process.stdout.write(text);
  // Names that begin with `root_` need root; a full run has it.
  const filter = process.getuid() === 0 ? [] : ['--', '--skip', 'root_'];
  const { code, output } = await run('cargo', ['test', '--workspace', ...filter], {
    cwd,
    onOutput,
  });
  results.push(...resultsOfCargo(output));
  return isTidy && isBlastTidy && isLauncherFine && code === 0;
}

/** The launcher for old kernels, which knows the system calls of x86_64 alone: tidy, and its own tests pass. */
async function launcher() {
  if (process.arch !== 'x64') return true;
  const cwd = join(root, 'tools/oldkernel');
  return (await tidy(cwd)) && (await show('cargo', ['test', '--quiet'], cwd));
}

/** Whether the workspace in this folder is formatted and clippy has nothing to say. */
async function tidy(cwd) {
  const clippy = ['clippy', '--quiet', '--workspace', '--all-targets', '--', '--deny', 'warnings'];
  const isFormatted = await show('cargo', ['fmt', '--all', '--check'], cwd);
  return (await show('cargo', clippy, cwd)) && isFormatted;
}

/** Runs these vitest projects; puts the tests' results into `results`. */
async function vitest(chosen, extra, results) {
  rmSync(vitestResults, { force: true });
  const flags = chosen.flatMap((project) => ['--project', project]);
  const passed = await show('node_modules/.bin/vitest', ['run', ...flags, ...extra]);
  results.push(...(readJson(vitestResults) ?? []));
  return passed;
}

/** Writes the table of a full run; false when it has a problem or a test did not run. */
function writeConformance(results) {
  const folder = new URL('../test/', import.meta.url);
  const { text, problems } = conformance(
    readJson(new URL('conformance.rows.json', folder)),
    readJson(new URL('conformance.notes.json', folder)),
    results,
  );
  writeFileSync(new URL('conformance.md', folder), text);
  const skipped = results.filter(({ outcome }) => outcome === 'skipped');
  const complaints = [
    ...skipped.map(({ file, title }) => `did not run: ${file}: ${title}`),
    ...problems,
  ];
  for (const complaint of complaints) console.error(complaint);
  return complaints.length === 0;
}

/** Writes the page of old kernels, and its table into the README, when the run had all of it. */
function writeOldKernels(results) {
  const found = oldKernels(results);
  if (found === undefined) return;
  writeFileSync(join(root, 'docs/old-kernels.md'), found.page);
  const readme = join(root, 'README.md');
  const [begin, end] = ['<!-- old-kernels -->', '<!-- /old-kernels -->'];
  const [before, rest] = readFileSync(readme, 'utf8').split(begin);
  const [, after] = rest.split(end);
  writeFileSync(readme, `${before}${begin}\n${found.table}${end}${after}`);
}

function readJson(url) {
  const path = fileURLToPath(url);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

function summarise(verdicts, results) {
  console.log('');
  for (const [suite, passed] of verdicts) {
    const counts = ['passed', 'failed', 'skipped']
      .map((outcome) => [counted(results, suite, outcome), outcome])
      .filter(([count]) => count > 0)
      .map(([count, outcome]) => `${count} ${outcome}`);
    console.log(`  ${passed ? 'passed' : 'FAILED'}  ${suite.padEnd(14)} ${counts.join(', ')}`);
  }
  return verdicts.every(([, passed]) => passed) ? 0 : 1;
}

function counted(results, suite, outcome) {
  return results.filter((result) => result.suite === suite && result.outcome === outcome).length;
}

/** Runs a program with our own terminal; true when it succeeds. */
function show(program, args, cwd = root) {
  console.log(`\n$ ${[program, ...args].join(' ')}`);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (code) => resolve(code === 0));
  });
}
