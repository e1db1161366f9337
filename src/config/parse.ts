// From the text of a configuration file to a complete configuration, or to ALL its problems at once.

import { readFile } from 'node:fs/promises';
import { type Document, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type * as z from 'zod';
import { type Problem, SwitchError } from '../model/error.js';
import { crossCheck, type Placed } from './crossCheck.js';
import { type Config, fileSchema, vtepSchema } from './fileSchema.js';
import { networkSchema } from './networkSchema.js';
import { type LineOf, located, type Path, pathText, problemsOf } from './problem.js';

export interface ParsedConfig {
  readonly config: Config;
  /** Sentences about what is taken care of, but surely not meant. */
  readonly warnings: readonly string[];
}

/** Reads and parses the file. Throws CONFIG_UNREADABLE or CONFIG_INVALID. */
export async function readConfig(path: string): Promise<ParsedConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new SwitchError('CONFIG_UNREADABLE', path, { detail: (error as Error).message });
  }
  return parseConfig(text, path);
}

/** Parses YAML text; `name` is what errors call it. Throws CONFIG_INVALID with every problem. */
export function parseConfig(text: string, name: string): ParsedConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = document.errors.map(
    (error): Problem => ({
      path: '',
      line: lines.linePos(error.pos[0]).line,
      value: text.slice(error.pos[0], error.pos[0] + 40).split('\n', 1)[0],
      allowed: `YAML (${error.message})`,
    }),
  );
  if (syntax.length > 0) throw invalid(name, syntax);
  return judge(toPlain(document, name), name, (path) => lineOf(document, lines, path));
}

/** The configuration that `--vtep ADDRESS` stands for. */
export function configOfVtep(address: string): ParsedConfig {
  return judge({ vtep: { address } }, '--vtep', undefined);
}

function judge(raw: unknown, name: string, lineOf: LineOf | undefined): ParsedConfig {
  // An empty file lacks all keys; say which one is needed.
  const root = raw ?? {};
  const parsed = fileSchema.safeParse(root);
  const vtep = vtepSchema.safeParse((root as { vtep?: unknown }).vtep);
  const findings = crossCheck(vtep.data, soundNetworks(root));
  const problems = [
    ...problemsOf(parsed.error?.issues ?? [], root, lineOf),
    ...findings.problems.map((found) => ({
      ...located(found.path, root, lineOf),
      allowed: found.allowed,
    })),
  ];
  if (problems.length > 0 || parsed.data === undefined) throw invalid(name, problems);
  const warnings = findings.warnings.map((found) => {
    const line = lineOf?.(found.path);
    return `${pathText(found.path)}${line === undefined ? '' : ` (line ${line})`}: ${found.allowed}`;
  });
  return { config: parsed.data, warnings };
}

/** The networks that are sound in themselves, so that a broken one does not hide problems between others. */
function soundNetworks(root: unknown): Placed[] {
  const networks = (root as { networks?: unknown }).networks;
  if (!Array.isArray(networks)) return [];
  return networks.flatMap((raw: unknown, at): Placed[] => {
    const { data } = networkSchema.safeParse(raw);
    return data === undefined ? [] : [{ path: ['networks', at], network: data }];
  });
}

function toPlain(document: Document.Parsed, name: string): unknown {
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // More aliases than any sane file has ("billion laughs").
    throw invalid(name, [{ path: '', allowed: `YAML (${(error as Error).message})` }]);
  }
}

function invalid(name: string, problems: readonly Problem[]): SwitchError {
  const sorted = [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0));
  const count = problems.length === 1 ? 'it has a problem' : `it has ${problems.length} problems`;
  return new SwitchError('CONFIG_INVALID', name, { why: count, problems: sorted });
}

/** Line of the deepest part of `path` that stands in the document: the key, or the list item. */
function lineOf(document: Document.Parsed, lines: LineCounter, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0];
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) break;
      offset = (pair.key as { range?: readonly number[] | null }).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = (node as { range?: readonly number[] | null } | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset === undefined ? undefined : lines.linePos(offset).line;
}

/** Problems of a request body or parameter, as the API reports them. */
export function requestError(issues: readonly z.core.$ZodIssue[], root: unknown): SwitchError {
  return new SwitchError('BAD_REQUEST', '', { problems: problemsOf(issues, root) });
}
