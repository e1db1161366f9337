// The one error that operators see. Wording lives in `sentences.ts`; an error carries the facts.

import { getSystemErrorName } from 'node:util';
import { type ErrorCode, type Sentence, sentences } from './sentences.js';

/** One refused value of a configuration or request. */
export interface Problem {
  /** `networks[0].ports[1].mac`; empty for the document itself. */
  readonly path: string;
  /** 1-based line in the file; absent for requests. */
  readonly line?: number | undefined;
  /** What stood there; absent when nothing did. */
  readonly value?: unknown;
  /** What may stand there. */
  readonly allowed: string;
  /** For an unknown key: the nearest known one. */
  readonly nearest?: string | undefined;
}

export interface ErrorFacts {
  readonly syscall?: string | undefined;
  readonly errno?: number | undefined;
  /** In plain words; takes the place of the table's `why`. */
  readonly why?: string | undefined;
  /** Takes the place of the table's `fix`. */
  readonly fix?: string | undefined;
  /** More detail, in parentheses after the reason. */
  readonly detail?: string | undefined;
  readonly problems?: readonly Problem[] | undefined;
}

/** An operator's error: a code of the table, its subject (`port c1`, a path) and the facts. */
export class SwitchError extends Error {
  readonly code: ErrorCode;
  readonly subject: string;
  readonly facts: ErrorFacts;

  constructor(code: ErrorCode, subject: string, facts: ErrorFacts = {}) {
    super(sentenceOf(code, subject, facts));
    this.name = 'SwitchError';
    this.code = code;
    this.subject = subject;
    this.facts = facts;
  }
}

/** `what: why (detail); fix`, then one line for each problem. */
export function sentenceOf(code: ErrorCode, subject: string, facts: ErrorFacts): string {
  const row: Sentence = sentences[code];
  const what = row.what.replaceAll('{subject}', subject);
  const details = [syscallText(facts), facts.detail].filter((text) => text !== undefined);
  const detail = details.length === 0 ? '' : ` (${details.join('; ')})`;
  const head = `${what}: ${facts.why ?? row.why}${detail}; ${facts.fix ?? row.fix}`;
  return [head, ...(facts.problems ?? []).map((problem) => `  ${problemText(problem)}`)]
    .map(printable)
    .join('\n');
}

/** One line: where, what stood there, what may stand there. */
export function problemText(problem: Problem): string {
  const line = problem.line === undefined ? '' : ` (line ${problem.line})`;
  const where = `${problem.path === '' ? 'the document' : problem.path}${line}`;
  if (problem.nearest !== undefined) {
    return `${where}: unknown key, did you mean \`${problem.nearest}\`? (${problem.allowed})`;
  }
  const value = problem.value === undefined ? 'missing' : `${valueText(problem.value)} is refused`;
  return `${where}: ${value}; allowed: ${problem.allowed}`;
}

/** Foreign text must neither break the line nor command the terminal. */
function printable(text: string): string {
  return text.replace(
    /\p{Cc}|\p{Zl}|\p{Zp}/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function valueText(value: unknown): string {
  // JSON has no word for these, and would print `null`.
  if (typeof value === 'number') return String(value);
  const text = jsonText(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** What is read may be nested deeper than can be written: JSON.parse does not recurse, JSON.stringify does. */
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return 'what is nested too deeply';
    throw error;
  }
}

function syscallText(facts: ErrorFacts): string | undefined {
  if (facts.errno === undefined) return facts.syscall;
  const name = errnoName(facts.errno);
  return facts.syscall === undefined ? name : `${facts.syscall}: ${name}`;
}

function errnoName(errno: number): string {
  return errno > 0 ? getSystemErrorName(-errno) : `errno ${errno}`;
}
