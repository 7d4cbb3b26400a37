/** What the rehearsal's clients ask for: common commands, on keys that come and go. */
import * as limits from '../limits.ts';

const VALUE = 'x'.repeat(32);

/** What each client sends in one turn of the event loop: every other one a pipeline, the rest one command. */
export function requestsOf(turn: number): readonly Buffer[] {
  return Array.from({ length: limits.REHEARSAL_CLIENTS }, (_, client) => {
    const count = client % 2 === 0 ? 1 : limits.REHEARSAL_PIPELINE;
    const first = turn * 7919 + client * 104_729;
    return Buffer.from(Array.from({ length: count }, (_, i) => request(first + i)).join(''), 'latin1');
  });
}

/** Keys from a range that grows for a while. */
function request(number: number): string {
  const key = `warm:${number % Math.min(limits.REHEARSAL_KEYS, 16 + (number >>> 5))}`;
  switch (number % 12) {
    case 0:
    case 1:
    case 2:
    case 3:
      return encode('SET', key, VALUE);
    case 4:
    case 5:
    case 6:
      return encode('GET', key);
    case 7:
      return encode('INCR', `counter:${key}`);
    case 8:
      return encode('HSET', `hash:${number % 64}`, key, VALUE);
    case 9:
      return encode('SADD', `set:${number % 64}`, key);
    case 10:
      return encode('HGET', `hash:${number % 64}`, key);
    default:
      return encode('DEL', key);
  }
}

const encode = (...words: string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
