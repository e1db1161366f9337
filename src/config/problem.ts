// From zod's issues to problems that an operator can act on.

import type * as z from 'zod';
import type { Problem } from '../model/error.js';

export type Path = readonly (string | number)[];

/** Tells where in the document a path stands; absent for requests. */
export type LineOf = (path: Path) => number | undefined;

/** `networks[0].ports[1].mac` */
export function pathText(path: Path): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === 'number' ? `${text}[${step}]` : text === '' ? step : `${text}.${step}`,
    '',
  );
}

/** One problem for each issue, and for each unknown key of an issue. `root` is the parsed input. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  root: unknown,
  lineOf?: LineOf,
): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = issue.path.filter((step) => typeof step !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      const nearest = issue.message.split('\n');
      return issue.keys.map((key, at) => ({
        ...located([...path, key], root, lineOf),
        allowed: 'every key must be known',
        nearest: nearest[at],
      }));
    }
    return [{ ...located(path, root, lineOf), allowed: issue.message }];
  });
}

/** Path, line and value of one place. */
export function located(path: Path, root: unknown, lineOf?: LineOf): Omit<Problem, 'allowed'> {
  return { path: pathText(path), line: lineOf?.(path), value: valueAt(root, path) };
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return value;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}
