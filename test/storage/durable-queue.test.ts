import { describe, expect, it } from '@jest/globals';
import { DurableQueue } from '../../src/storage/durable-queue.ts';

describe('the queue of those who wait for the disk', () => {
  it('releases in order, and never before the position', () => {
    const queue = new DurableQueue();
    const called: number[] = [];
    for (let i = 0; i < 5_000; i++) queue.add(i * 10, () => called.push(i));
    queue.release(9);
    expect(called).toEqual([0]);
    queue.release(30_000);
    expect(called).toHaveLength(3_001);
    expect(queue.length).toBe(1_999);
    queue.add(50_000, () => called.push(5_000));
    queue.release(50_000);
    expect(called).toEqual(Array.from({ length: 5_001 }, (_, i) => i));
    expect(queue.length).toBe(0);
  });

  it('makes an earlier position that comes later wait its turn', () => {
    const queue = new DurableQueue();
    const called: string[] = [];
    queue.add(100, () => called.push('first'));
    queue.add(50, () => called.push('second'));
    queue.release(50);
    expect(called).toEqual([]);
    queue.release(100);
    expect(called).toEqual(['first', 'second']);
  });

  it('serves who is added while it releases', () => {
    const queue = new DurableQueue();
    const called: string[] = [];
    queue.add(10, () => {
      called.push('outer');
      queue.add(10, () => called.push('inner'));
    });
    queue.release(10);
    expect(called).toEqual(['outer', 'inner']);
    expect(queue.length).toBe(0);
  });
});
