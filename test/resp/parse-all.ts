/** Feeds bytes to a parser as a connection would, in pieces, and gathers what comes out. */
import { Input } from '../../src/resp/input.ts';
import { COMMAND, PROTOCOL_ERROR, RequestParser } from '../../src/resp/parser.ts';
import { READ_BYTES } from '../../src/resp/limits.ts';

export interface Parsed {
  readonly commands: string[][];
  error: string | null;
}

export const shared = new RequestParser();

/** Reads one piece, at most as long as a read. One char per byte in the result. */
export function feed(input: Input, piece: Buffer, into: Parsed, parser = shared): void {
  piece.copy(parser.readArea);
  parser.begin(input, piece.length);
  for (;;) {
    const state = parser.next();
    if (state === PROTOCOL_ERROR) into.error = parser.error;
    if (state !== COMMAND) break;
    const { args } = parser;
    into.commands.push(Array.from({ length: args.count }, (_, i) => args.latin1(i)));
  }
  parser.end();
}

/** `cuts`: lengths of the pieces, used again and again. */
export function parseAll(bytes: Buffer, cuts: readonly number[] = [READ_BYTES], input = trustedInput()): Parsed {
  const parsed: Parsed = { commands: [], error: null };
  for (let at = 0, i = 0; at < bytes.length && parsed.error === null; i++) {
    const end = Math.min(bytes.length, at + Math.min(READ_BYTES, cuts[i % cuts.length]!));
    feed(input, bytes.subarray(at, end), parsed);
    at = end;
  }
  return parsed;
}

export function trustedInput(): Input {
  const input = new Input();
  input.trust();
  return input;
}

/** One char per byte. */
export const encode = (words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
