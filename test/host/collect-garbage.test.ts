import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { collectGarbage } from '../../src/host/collect-garbage.ts';
import { Arena, SEGMENT_MASK, SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { eventually } from '../server/endpoint.ts';

const MIB = 1024 * 1024;

/** Resident memory of this process, bytes. */
const resident = (): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))![1]) * 1024;

describe('collecting garbage', () => {
  it('gives the memory of an arena back to the system once its blocks are freed', async () => {
    const arena = new Arena();
    const before = resident();
    const blocks = Array.from({ length: 12_000 }, () => {
      const block = arena.allocate(20_000);
      const start = (block & SEGMENT_MASK) << 3;
      arena.bytes[block >>> SEGMENT_SHIFT]!.fill(1, start, start + 20_000);
      return block;
    });
    expect(resident() - before).toBeGreaterThan(150 * MIB);
    for (const block of blocks) arena.free(block);
    expect(arena.droppedBytes).toBeGreaterThan(150 * MIB);
    // Not once: a collection that finds one under way keeps what was dropped since that began.
    const isCollected = (): boolean => {
      collectGarbage();
      return arena.droppedBytes === 0;
    };
    await eventually(isCollected, 'the dropped segments are collected');
    await eventually(() => resident() - before < 100 * MIB, 'the system has the memory back');
  });
});
