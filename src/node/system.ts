/**
 * The daemon's clock, timers and randomness, in one place. The node is at the top of the import tree and talks to real
 * processes, so it uses Node's own; only the supervision rules are pure and take time as an argument.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds from an arbitrary start; never goes back. */
export const monotonicMs = (): number => performance.now();

/** Wall clock, ISO 8601 in UTC. */
export const timestamp = (): string => new Date().toISOString();

export const sleep = (ms: number): Promise<void> => delay(ms);

/** As `sleep`, for work that goes on beside everything else: it does not keep the process alive. */
export const sleepAside = (ms: number): Promise<void> => delay(ms, undefined, { ref: false });

export const createGuid = (): string => randomUUID();

/** 192 bits as 32 characters that need no quoting in a URL, a shell or JSON. */
export const createSecret = (): string => randomBytes(24).toString('base64url');

/** A short name that no other file of the same folder has. */
export const createSuffix = (): string => randomBytes(6).toString('hex');

/** Whether the promise settles within the limit; its failure is thrown. */
export async function settlesWithin(limitMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), limitMs)));
  try {
    return await Promise.race([promise.then(() => true), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the answer is true, every `everyMs`, at most `withinMs`. Returns whether it became true. */
export async function pollUntil(
  options: { readonly withinMs: number; readonly everyMs: number },
  condition: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const deadlineMs = monotonicMs() + options.withinMs;
  for (;;) {
    if (await condition()) return true;
    if (monotonicMs() >= deadlineMs) return false;
    await sleep(options.everyMs);
  }
}
