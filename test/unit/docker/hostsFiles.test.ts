import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withBlock } from '../../../src/docker/hostsFiles.js';

const BEGIN = '# vswitchd: containers on other hosts';
const END = '# vswitchd: end';

describe('withBlock', () => {
  it('adds, replaces and removes its own lines alone', () => {
    const plain = '127.0.0.1\tlocalhost\n';
    const one = withBlock(plain, ['10.0.0.2\tc2']);
    expect(one).toBe(`${plain}${BEGIN}\n10.0.0.2\tc2\n${END}\n`);
    const extended = `${one}10.9.9.9\tadded by hand\n`;
    expect(withBlock(extended, ['10.0.0.3\tc3'])).toBe(
      `${plain}10.9.9.9\tadded by hand\n${BEGIN}\n10.0.0.3\tc3\n${END}\n`,
    );
    expect(withBlock(extended, [])).toBe(`${plain}10.9.9.9\tadded by hand\n`);
    expect(withBlock(one, [])).toBe(plain);
  });

  it('loses nothing behind a beginning whose end somebody removed', () => {
    expect(withBlock(`${BEGIN}\n10.0.0.2\tc2\n`, [])).toBe('10.0.0.2\tc2\n');
  });

  it('is undone by itself with no lines, whatever stands in the file', () => {
    const line = fc
      .stringMatching(/^[ -~]{0,20}$/)
      .filter((text) => !text.startsWith('# vswitchd'));
    fc.assert(
      fc.property(fc.array(line), fc.array(line, { minLength: 1 }), (old, lines) => {
        const text = old.map((one) => `${one}\n`).join('');
        const block = withBlock(text, lines);
        expect(withBlock(block, lines)).toBe(block);
        expect(withBlock(block, []).trimEnd()).toBe(text.trimEnd());
      }),
    );
  });
});
