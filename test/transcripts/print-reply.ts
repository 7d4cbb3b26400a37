/** Replies as redis-cli prints them on a terminal (cliFormatReplyTTY of Redis 7.0), a line per array element. */
import { ReplyError, type Decoded } from '../../src/resp/decode.ts';

/** Their elements come in any order, so they are printed in the order of their texts. HGETALL: pairs. */
const UNORDERED = /^(smembers|sinter|sunion|sdiff|spop|keys|hkeys|hvals)$/i;
const UNORDERED_PAIRS = /^hgetall$/i;

/** What redis-cli would print for the reply to that command line. */
export function printReply(reply: Decoded, command = ''): string[] {
  const [name] = command.trim().split(/\s+/, 1);
  return print(Array.isArray(reply) ? putInOrder(reply, name!) : reply, '');
}

function putInOrder(values: readonly Decoded[], command: string): Decoded[] {
  if (!UNORDERED.test(command) && !UNORDERED_PAIRS.test(command)) return [...values];
  const width = UNORDERED_PAIRS.test(command) ? 2 : 1;
  const groups = Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
  const textOf = (group: readonly Decoded[]): string => print(group[0]!, '').join();
  return groups.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1)).flat();
}

function print(value: Decoded, indent: string): string[] {
  if (value === null) return ['(nil)'];
  if (typeof value === 'string') return [value];
  if (typeof value === 'number' || typeof value === 'bigint') return [`(integer) ${value}`];
  if (Buffer.isBuffer(value)) return [quote(value)];
  if (value instanceof ReplyError) return [`(error) ${value.text}`];
  if (!Array.isArray(value)) throw new Error('not a reply in RESP2');
  if (value.length === 0) return ['(empty array)'];
  const width = String(value.length).length;
  const inner = indent + ' '.repeat(width + 2);
  return value.flatMap((each, i) => {
    const [first, ...rest] = print(each, inner);
    return [`${i === 0 ? '' : indent}${String(i + 1).padStart(width)}) ${first}`, ...rest];
  });
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '"': '\\"',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\x07': '\\a',
  '\b': '\\b',
};

function quote(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    const isPrintable = byte >= 0x20 && byte < 0x7f;
    text += ESCAPES[char] ?? (isPrintable ? char : `\\x${byte.toString(16).padStart(2, '0')}`);
  }
  return `"${text}"`;
}
