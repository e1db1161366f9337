import { describe, expect, it } from 'vitest';
import { problemText, SwitchError } from '../../../src/model/error.js';
import { type ErrorCode, isErrorCode, sentences } from '../../../src/model/sentences.js';

describe('the table of sentences', () => {
  const codes = Object.keys(sentences) as ErrorCode[];

  it.each(codes)('%s says what, why and what to do, in one line', (code) => {
    const { message } = new SwitchError(code, 'THING');
    expect(message).toMatch(/^[^\n]+: [^\n]+; [^\n]+$/);
    expect(message).not.toContain('{');
    expect(message).not.toMatch(/\.$/);
  });

  it('has an HTTP status of a refusal for each', () => {
    for (const code of codes) expect(sentences[code].status).toBeGreaterThanOrEqual(400);
  });

  it('knows its codes and no others', () => {
    expect(isErrorCode('NETNS_GONE')).toBe(true);
    for (const other of ['toString', '__proto__', '', 5, undefined]) {
      expect(isErrorCode(other)).toBe(false);
    }
  });
});

describe('an error', () => {
  it('names the failed call and its error number', () => {
    const error = new SwitchError('TAP_BUSY', 'port c1', { syscall: 'ioctl', errno: 16 });
    expect(error.message).toContain('port c1');
    expect(error.message).toContain('(ioctl: EBUSY)');
  });

  it('survives an error number that nobody knows', () => {
    expect(new SwitchError('IO', 'x', { errno: 99999 }).message).toContain('99999');
    expect(new SwitchError('IO', 'x', { errno: 0 }).message).toContain('(errno 0)');
  });

  it('lists problems line by line', () => {
    const problems = [
      { path: 'a.b', line: 3, value: 7, allowed: '1-5' },
      { path: 'c', allowed: 'text' },
      { path: 'd', line: 4, allowed: 'every key must be known', nearest: 'e' },
    ];
    expect(
      new SwitchError('CONFIG_INVALID', 'file', { problems }).message.split('\n').slice(1),
    ).toEqual([
      '  a.b (line 3): 7 is refused; allowed: 1-5',
      '  c: missing; allowed: text',
      '  d (line 4): unknown key, did you mean `e`? (every key must be known)',
    ]);
  });

  it('shows numbers that JSON has no word for', () => {
    expect(problemText({ path: 'vni', value: Number.NaN, allowed: '1' })).toContain(
      'NaN is refused',
    );
  });

  it('stays on its lines and leaves the terminal alone, whatever it is about', () => {
    const problems = [{ path: 'a\nb', value: '\u009b2J', allowed: 'x' }];
    const { message } = new SwitchError('IO', '\u001b[31m\r\n', { detail: '\u2028', problems });
    expect(message.split('\n')).toHaveLength(2);
    expect(message.replace('\n', '')).not.toMatch(/\p{Cc}|\p{Zl}/u);
    expect(message).toContain('\\u001b[31m');
  });

  it('cuts long values', () => {
    expect(problemText({ path: 'x', value: 'y'.repeat(500), allowed: 'z' }).length).toBeLessThan(
      200,
    );
  });
});
