// Takes labs away: one's own, and those of a process that was killed before it could.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ip, killAllIn, namespacesOf } from './namespace.mjs';

const cgroups = '/sys/fs/cgroup';
const marker = 'lab-of';

/** Where a lab of this name keeps logs and configuration. */
export function folderOf(name) {
  return join(tmpdir(), name);
}

/** Makes the folder, and says in it whose the lab is: this process's. */
export function claimFolder(name) {
  mkdirSync(folderOf(name), { mode: 0o755 });
  writeFileSync(join(folderOf(name), marker), identity(process.pid));
}

/** From now on it is nobody's, and none of those that are taken down as abandoned. */
export function disclaim(name) {
  rmSync(join(folderOf(name), marker));
}

/** True while a lab of this name stands, or what is left of one. */
export async function stands(name) {
  return existsSync(folderOf(name)) || (await namespacesOf(`${name}-`)).length > 0;
}

/** Ends and removes whatever is there of a lab; its processes get no chance to tidy up. */
export async function takeDown(name) {
  const namespaces = await namespacesOf(`${name}-`);
  for (const namespace of namespaces) {
    await killAllIn(namespace);
    await ip(['netns', 'delete', namespace]);
  }
  for (const folder of cgroupsOf(name)) removeCgroup(folder);
  rmSync(folderOf(name), { recursive: true, force: true });
}

/** Takes down all labs whose process is gone. */
export async function takeDownAbandoned() {
  for (const name of readdirSync(tmpdir()).filter(isAbandoned)) await takeDown(name);
}

/** Takes down all labs whose names begin with `prefix`; returns the names. */
export async function takeDownAll(prefix) {
  const names = readdirSync(tmpdir()).filter((name) => name.startsWith(prefix) && isClaimed(name));
  for (const name of names) await takeDown(name);
  return names;
}

function isClaimed(name) {
  return existsSync(join(folderOf(name), marker));
}

function isAbandoned(name) {
  if (!isClaimed(name)) return false;
  const owner = readFileSync(join(folderOf(name), marker), 'utf8');
  return owner !== identity(owner.split(' ')[0]);
}

/** A process's ID and the time of its start, as IDs are used again; the time is missing when it is gone. */
function identity(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the start is field 22, proc(5).
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${pid}`;
  }
}

/** Its cgroup, once below every controller where the machine has cgroups of version 1. */
function cgroupsOf(name) {
  const below = existsSync(cgroups)
    ? readdirSync(cgroups).map((entry) => join(cgroups, entry))
    : [];
  return [cgroups, ...below].map((folder) => join(folder, name)).filter((path) => existsSync(path));
}

function removeCgroup(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  }
  rmdirSync(folder);
}
