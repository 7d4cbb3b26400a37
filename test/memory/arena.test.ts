import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Arena, ArenaFullError, SEGMENT_MASK, SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { assertLaw } from '../law.ts';

const SEGMENT_BYTES = 1 << 20;

function fill(arena: Arena, address: number, length: number, value: number): void {
  const at = (address & SEGMENT_MASK) << 3;
  arena.bytes[address >>> SEGMENT_SHIFT]!.fill(value, at, at + length);
}

function holds(arena: Arena, address: number, length: number, value: number): boolean {
  const at = (address & SEGMENT_MASK) << 3;
  const bytes = arena.bytes[address >>> SEGMENT_SHIFT]!.subarray(at, at + length);
  return bytes.length === length && bytes.every((byte) => byte === value);
}

const openSegments = (arena: Arena): number => arena.bytes.filter((bytes) => bytes.length > 0).length;

describe('Arena', () => {
  it('keeps every block apart from every other, whatever is allocated and freed', () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: 1, max: 40_000 }),
      fc.integer({ min: 1, max: 3 * SEGMENT_BYTES }),
    );
    const step = fc.oneof(
      { weight: 3, arbitrary: size },
      { weight: 2, arbitrary: fc.integer({ min: -1000, max: -1 }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const arena = new Arena({ segmentBytes: SEGMENT_BYTES });
        const live: { address: number; length: number; value: number }[] = [];
        let value = 0;
        for (const n of steps) {
          if (n > 0) {
            const address = arena.allocate(n);
            value = (value + 1) & 255;
            fill(arena, address, n, value);
            expect(arena.capacity(address)).toBeGreaterThanOrEqual(n);
            live.push({ address, length: n, value });
          } else if (live.length > 0) {
            const [block] = live.splice(-n % live.length, 1);
            expect(holds(arena, block!.address, block!.length, block!.value)).toBe(true);
            arena.free(block!.address);
          }
        }
        for (const block of live) expect(holds(arena, block.address, block.length, block.value)).toBe(true);
        for (const block of live) arena.free(block.address);
        expect(arena.usedBytes).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('gives the pages of one size to another size once they are free', () => {
    const arena = new Arena({ segmentBytes: SEGMENT_BYTES });
    for (const length of [24, 100, 1000, 9000, 100_000]) {
      for (let round = 0; round < 3; round++) {
        const blocks: number[] = [];
        for (let bytes = 0; bytes < SEGMENT_BYTES * 0.5; bytes += length) blocks.push(arena.allocate(length));
        for (const block of blocks) arena.free(block);
      }
    }
    expect(arena.bytes.length).toBe(1);
  });

  it('wastes at most an eighth on the rounding of sizes above 512 bytes, and nothing but alignment below', () => {
    const arena = new Arena({ segmentBytes: SEGMENT_BYTES });
    for (let length = 1; length <= 32_768; length += 7) {
      const address = arena.allocate(length);
      expect(arena.capacity(address)).toBeLessThanOrEqual(length <= 512 ? length + 7 : length * 1.125 + 8);
      arena.free(address);
    }
  });

  it('gives up every segment that is wholly free, but for one', () => {
    const size = fc.oneof(
      fc.integer({ min: 1, max: 600 }),
      fc.integer({ min: 1, max: 200_000 }),
      fc.constant(3 * SEGMENT_BYTES),
    );
    const check = (sizes: readonly number[]): void => {
      const arena = new Arena({ segmentBytes: SEGMENT_BYTES });
      const blocks = sizes.flatMap((one) =>
        Array.from({ length: 1 + Math.floor(50_000 / one) }, () => arena.allocate(one)),
      );
      for (let i = 0; i < blocks.length; i += 2) arena.free(blocks[i]!);
      for (let i = blocks.length - 1 - (blocks.length % 2); i >= 0; i -= 2) arena.free(blocks[i]!);
      expect(arena.usedBytes).toBe(0);
      // The one that is kept goes when it has not been used for a while; the home stays.
      expect(openSegments(arena)).toBeLessThanOrEqual(2);
      for (let i = 0; i < 2; i++) arena.trim();
      expect(openSegments(arena)).toBe(1);
    };
    assertLaw(fc.array(size, { minLength: 1, maxLength: 60, size: 'max' }), check, {
      runs: 60,
      print: (sizes) => sizes.join(' '),
    });
  });

  it('lets upper segments empty while blocks come and go: new ones gather at the bottom', () => {
    const arena = new Arena({ segmentBytes: SEGMENT_BYTES });
    const blocks = Array.from({ length: 64_000 }, () => arena.allocate(256));
    const full = openSegments(arena);
    expect(full).toBeGreaterThanOrEqual(16);
    // An eighth stays, spread over all segments; then each of those is replaced a few times, as an overwritten value is.
    let seed = 1;
    const next = (below: number): number => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0) % below;
    const live = blocks.filter((block) => next(8) === 0 || (arena.free(block), false));
    for (let i = 0; i < 10 * live.length; i++) {
      const at = next(live.length);
      const block = arena.allocate(256);
      arena.free(live[at]!);
      live[at] = block;
    }
    expect(openSegments(arena)).toBeLessThanOrEqual(full / 4 + 1);
  });

  it('has the room that it says it has, whatever the sizes', () => {
    const SEGMENT = 1 << 18;
    const shape = fc.record({
      before: fc.array(fc.tuple(fc.integer({ min: 1, max: 700_000 }), fc.boolean()), { maxLength: 40 }),
      sizes: fc.array(
        fc.oneof(
          fc.integer({ min: 32, max: 600 }),
          fc.integer({ min: 32, max: 40_000 }),
          fc.integer({ min: 32, max: 900_000 }),
        ),
        { minLength: 1, maxLength: 200, size: 'max' },
      ),
    });
    let granted = 0;
    let refused = 0;
    const check = ({
      before,
      sizes,
    }: {
      readonly before: readonly (readonly [number, boolean])[];
      readonly sizes: readonly number[];
    }): void => {
      const arena = new Arena({ segmentBytes: SEGMENT, bytesMax: 16 << 20 });
      const blocks: number[] = [];
      for (const [size, stays] of before) {
        if (!arena.hasRoomFor(size)) break;
        const block = arena.allocate(size);
        if (stays) blocks.push(block);
        else arena.free(block);
      }
      let total = 0;
      let largest = 0;
      let count = 0;
      while (count < sizes.length && arena.reserve(total + sizes[count]!, Math.max(largest, sizes[count]!))) {
        total += sizes[count]!;
        largest = Math.max(largest, sizes[count]!);
        count++;
      }
      if (count < sizes.length) refused++;
      if (largest <= SEGMENT / 16) expect(total).toBeLessThanOrEqual(arena.freeBytes);
      for (let i = 0; i < count; i++) blocks.push(arena.allocate(sizes[i]!));
      granted += count;
      for (const block of blocks) arena.free(block);
      expect(arena.usedBytes).toBe(0);
    };
    assertLaw(shape, check, { runs: 200, print: (one) => JSON.stringify(one) });
    expect(granted).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
  });

  it('is what it was before when there is no room for a block', () => {
    const arena = new Arena({ segmentBytes: SEGMENT_BYTES, bytesMax: 4 * SEGMENT_BYTES });
    const blocks: { readonly address: number; readonly length: number; readonly value: number }[] = [];
    for (const length of [3 * SEGMENT_BYTES, 700_000, 20_000, 500, 24]) {
      for (;;) {
        const { usedBytes, freeBytes } = arena;
        const value = blocks.length & 255;
        try {
          const address = arena.allocate(length);
          fill(arena, address, length, value);
          blocks.push({ address, length, value });
        } catch (error) {
          expect(error).toBeInstanceOf(ArenaFullError);
          expect([arena.usedBytes, arena.freeBytes]).toEqual([usedBytes, freeBytes]);
          break;
        }
      }
    }
    expect(arena.hasRoomFor(1)).toBe(false);
    for (const { address, length, value } of blocks) expect(holds(arena, address, length, value)).toBe(true);
    for (const { address } of blocks) arena.free(address);
    expect([arena.usedBytes, openSegments(arena)]).toEqual([0, 1]);
    expect(arena.freeBytes).toBe(new Arena({ segmentBytes: SEGMENT_BYTES, bytesMax: 4 * SEGMENT_BYTES }).freeBytes);
  });

  it('holds values of more than 512 MB in the slots of several segments, beside everything else', () => {
    const arena = new Arena();
    const small = arena.allocate(100);
    fill(arena, small, 100, 7);
    const length = (512 << 20) + 100;
    expect(arena.hasRoomFor(length)).toBe(true);
    const large = arena.allocateZeroed(length);
    const bytes = arena.bytes[large >>> SEGMENT_SHIFT]!;
    const at = (large & SEGMENT_MASK) << 3;
    bytes[at + length - 1] = 9;
    const after = Array.from({ length: 2000 }, () => arena.allocate(30_000));
    for (const block of after) fill(arena, block, 30_000, 3);
    expect([bytes[at], bytes[at + length - 1], holds(arena, small, 100, 7)]).toEqual([0, 9, true]);
    arena.free(large);
    expect(arena.droppedBytes).toBeGreaterThanOrEqual(length);
    for (const block of after) arena.free(block);
    arena.free(small);
    // The one that is kept goes when it has not been used for a while; the home stays.
    expect(openSegments(arena)).toBeLessThanOrEqual(2);
    for (let i = 0; i < 2; i++) arena.trim();
    expect(openSegments(arena)).toBe(1);
  });

  it('zeroes a block that was used before', () => {
    const arena = new Arena({ segmentBytes: SEGMENT_BYTES });
    for (const length of [40, 30_000, 100_000, 2 * SEGMENT_BYTES]) {
      const used = arena.allocate(length);
      fill(arena, used, length, 255);
      arena.free(used);
      const zeroed = arena.allocateZeroed(length);
      expect(holds(arena, zeroed, length, 0)).toBe(true);
      arena.free(zeroed);
    }
  });
});
