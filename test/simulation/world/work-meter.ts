/**
 * How much the engine has done, counted where all data lives: every block of the arena handed out or given back, every entry of a table looked
 * up or visited, every bucket moved.
 *
 * Why: the simulated clock must move while code runs, or a loop "until two milliseconds are over" never meets its end, and one that does too much
 * is never noticed. Real time would do, but then no seed would do the same twice.
 *
 * Invariant: the count is a function of what the code does, never of the machine that it does it on.
 */
import { Arena } from '../../../src/memory/arena.ts';
import { ByteMap } from '../../../src/memory/byte-map.ts';

type Method = (this: unknown, ...args: never[]) => unknown;

let steps = 0;
let metered = false;

/** Steps since the process began. */
export const workSteps = (): number => steps;

/** From here on the engine's work is counted. Once per process is enough; again does nothing. */
export function meterWork(): void {
  if (metered) return;
  metered = true;
  count(Arena.prototype, ['allocate', 'free']);
  count(ByteMap.prototype, ['find', 'add', 'remove', 'replace']);
  countVisits();
}

function count(prototype: object, names: readonly string[]): void {
  const methods = prototype as Record<string, Method>;
  for (const name of names) {
    const method = methods[name]!;
    methods[name] = function (...args) {
      steps++;
      return method.apply(this, args);
    };
  }
}

/** What is visited counts, and a bucket that is empty too. */
function countVisits(): void {
  const { scan, continueResize } = ByteMap.prototype;
  ByteMap.prototype.scan = function (map, cursor, visit) {
    steps++;
    return scan.call(this, map, cursor, (entry) => {
      steps++;
      visit(entry);
    });
  };
  ByteMap.prototype.continueResize = function (map, buckets) {
    const isGoingOn = continueResize.call(this, map, buckets);
    if (isGoingOn) steps += buckets;
    return isGoingOn;
  };
}
