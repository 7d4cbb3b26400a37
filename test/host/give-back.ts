/** Program: fills an arena, frees it, collects garbage. Prints resident memory before, filled and afterwards, and what is still dropped, bytes, as JSON. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { collectGarbage } from '../../src/host/collect-garbage.ts';
import { Arena, SEGMENT_MASK, SEGMENT_SHIFT } from '../../src/memory/arena.ts';

const BLOCKS = 12_000;
const BLOCK_BYTES = 20_000;
const TRIES = 100;

const resident = (): number => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'latin1'))![1]) * 1024;

const arena = new Arena();
const before = resident();
const blocks = Array.from({ length: BLOCKS }, () => {
  const block = arena.allocate(BLOCK_BYTES);
  const start = (block & SEGMENT_MASK) << 3;
  arena.bytes[block >>> SEGMENT_SHIFT]!.fill(1, start, start + BLOCK_BYTES);
  return block;
});
const filled = resident();
for (const block of blocks) arena.free(block);
const dropped = arena.droppedBytes;
// Not once: a collection that finds one under way keeps what was dropped since that began, and a thread of V8's frees what was collected.
for (let i = 0; i < TRIES && (arena.droppedBytes > 0 || filled - resident() < dropped / 2); i++) {
  // What was asked for is in use until the turn ends.
  await sleep(25);
  collectGarbage();
  await sleep(25);
}
process.stdout.write(JSON.stringify({ before, filled, dropped, left: arena.droppedBytes, after: resident() }));
