/** The process of an instance in words: what an operator reads wherever instances are shown. */
import type { NodeStatus } from '../admin/contract.ts';
import { bytesText, numberText, type Style } from './output.ts';

export type ProcessDetails = Pick<NodeStatus['instances'][number], 'process' | 'loading' | 'unresponsive' | 'stopping'>;

/** For a table: `running`, `loading 45 %`. */
export function processWord({ process, loading }: ProcessDetails): string {
  return process === 'loading' && loading !== null ? `loading ${loading.percent} %` : process;
}

/** A process that loads or stops is as it should be, for now. */
export function processStyle({ process }: ProcessDetails, style: Style): (text: string) => string {
  if (process === 'running') return style.good;
  return process === 'loading' || process === 'stopping' ? style.careful : style.bad;
}

/** What there is to say beyond the word; null: nothing. */
export function processNote({ process, loading, unresponsive, stopping }: ProcessDetails): string | null {
  if (process === 'loading' && loading !== null) {
    const { phase, keys, loaded_bytes: loaded, total_bytes: total } = loading;
    const have = keys === null ? '' : `, ${numberText(keys)} keys`;
    return `reads its ${phase}: ${bytesText(loaded)} of ${bytesText(total)}${have}`;
  }
  if (unresponsive !== null) return `has not answered since ${unresponsive.since}: ${unresponsive.reason}`;
  if (stopping !== null) {
    const { since, written_bytes: written } = stopping;
    return `is being stopped since ${since}, ${bytesText(written)} written`;
  }
  return null;
}
