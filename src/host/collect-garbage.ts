/**
 * Frees at once what nothing refers to any more: the ArrayBuffers of dropped segments, above all.
 *
 * V8 collects when something is allocated; an idle process keeps gigabytes that it no longer needs. V8's own function for it is shown only after a flag,
 * which a running process may set (Node.js 20, 22 and 24). It costs what the small heap of an instance costs, 10 to 50 ms: for rare moments.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
