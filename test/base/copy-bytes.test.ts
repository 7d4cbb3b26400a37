import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { copyBytes } from '../../src/base/copy-bytes.ts';
import { assertLaw } from '../law.ts';

it('copyBytes copies exactly the run it is given, short or long, from a view or a buffer', () => {
  const run = fc.record({ to: fc.nat({ max: 20 }), from: fc.nat({ max: 20 }), length: fc.nat({ max: 120 }) });
  assertLaw(
    run,
    ({ to, from, length }) => {
      const source = new Uint8Array(Uint8Array.from({ length: 160 }, (_, i) => i + 1).buffer, 5, 150);
      const target = Buffer.alloc(150, 0xee);
      copyBytes(target, to, source, from, length);
      const expected = Buffer.alloc(150, 0xee);
      for (let i = 0; i < length; i++) expected[to + i] = 6 + from + i;
      expect(target.equals(expected)).toBe(true);
    },
    { runs: 150, print: (input) => JSON.stringify(input) },
  );
});
