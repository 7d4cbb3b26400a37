/** Compares what an instance shows with what the oracle says, and puts the first difference into words. */
import type { Oracle, Visible } from './oracle.ts';

export class DivergenceError extends Error {}

/** `read`: what the instance shows under a key. Keys that only the instance has are the digest's to find. */
export function compareWithOracle(oracle: Oracle, name: string, read: (key: string) => Visible): void {
  for (const key of oracle.keyNames) {
    const expected = describe(oracle.visible(key));
    const shown = describe(read(key));
    if (expected !== shown) {
      throw new DivergenceError(`key ${JSON.stringify(key)}: ${name} shows ${shown}, the oracle says ${expected}`);
    }
  }
}

export function describe(visible: Visible): string {
  switch (visible.type) {
    case 'none':
      return 'nothing';
    case 'string':
      return `string ${JSON.stringify(visible.value)}${until(visible.expiryMs)}`;
    case 'hash':
      return `hash ${JSON.stringify(visible.fields)}${until(visible.expiryMs)}`;
    case 'set':
      return `set ${JSON.stringify(visible.members)}${until(visible.expiryMs)}`;
  }
}

const until = (expiryMs: number): string => (expiryMs === Infinity ? '' : ` until ${expiryMs}`);
