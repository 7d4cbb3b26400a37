import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { matchGlob } from '../../src/base/glob.ts';

const matches = (pattern: string, text: string): boolean => matchGlob(Buffer.from(pattern), Buffer.from(text));

describe('matchGlob', () => {
  it.each([
    ['', '', true],
    ['*', '', true],
    ['**', 'ab', true],
    ['?', '', false],
    ['h?llo', 'hello', true],
    ['h*llo', 'heeeello', true],
    ['h[ae]llo', 'hallo', true],
    ['h[^e]llo', 'hello', false],
    ['h[a-c]llo', 'hbllo', true],
    ['h[c-a]llo', 'hbllo', true],
    ['\\*', '*', true],
    ['\\*', 'a', false],
    ['[\\]]', ']', true],
    ['a*b*c', 'aXbXbXc', true],
    ['a*b*c', 'aXbXbX', false],
  ])('%j on %j is %j', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it.each([
    ['[abc', 'b', true],
    ['[', 'a', false],
    ['[]', 'a', false],
    ['[^]', 'a', true],
    ['[a-]', '[', false],
    ['[a-]', 'b', false],
    ['[a-]', '`', true],
    ['a\\', 'a\\', true],
  ])('keeps the odd corner %j on %j: %j', (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it('matches a part of a buffer', () => {
    expect(matchGlob(Buffer.from('b*d'), Buffer.from('abcde'), 1, 3)).toBe(true);
  });

  it('takes no exponential time', () => {
    expect(matches(`${'a*'.repeat(50)}b`, 'a'.repeat(2000))).toBe(false);
  });

  it('agrees with a regular expression where that can say the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 8 }),
        fc.array(fc.constantFrom('a', 'b'), { maxLength: 10 }),
        (pattern, text) => {
          const regular = pattern.map((part) => (part === '*' ? '.*' : part === '?' ? '.' : part)).join('');
          expect(matches(pattern.join(''), text.join(''))).toBe(new RegExp(`^${regular}$`).test(text.join('')));
        },
      ),
      { seed: 1, numRuns: 2000 },
    );
  });
});
