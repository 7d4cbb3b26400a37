import { describe, expect, it } from '@jest/globals';
import { execa } from 'execa';

const MIB = 1024 * 1024;

describe('collecting garbage', () => {
  it('gives the memory of an arena back to the system once its blocks are freed', async () => {
    // In a process of its own, whose memory nobody else moves.
    const program = `${import.meta.dirname}/give-back.ts`;
    const { stdout } = await execa(process.execPath, ['--import', 'tsx', program]);
    const { before, filled, dropped, left, after } = JSON.parse(stdout) as Record<string, number>;
    expect(filled! - before!).toBeGreaterThan(150 * MIB);
    expect(dropped).toBeGreaterThan(150 * MIB);
    expect(left).toBe(0);
    expect(after! - before!).toBeLessThan(100 * MIB);
  });
});
