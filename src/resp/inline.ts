/**
 * Inline commands: a line of words, quoted or not, as somebody types them into telnet. Redis's rules (sdssplitargs): "..." knows \n \r \t \b \a
 * \xHH and \ before anything else; '...' knows \' only; a closing quote must be followed by a space or the end.
 */
const SPACE = 32;
const DOUBLE = 34;
const SINGLE = 39;
const BACKSLASH = 92;
const ESCAPES: Readonly<Record<number, number>> = { 110: 10, 114: 13, 116: 9, 98: 8, 97: 7 };

const isSpace = (byte: number): boolean => byte === SPACE || (byte >= 9 && byte <= 13);

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1;
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** The words between `start` and `end`; null: quotes are not balanced. */
export function splitInline(bytes: Uint8Array, start: number, end: number): Buffer[] | null {
  const words: Buffer[] = [];
  const word = Buffer.allocUnsafe(end - start);
  let at = start;
  while (at < end) {
    if (isSpace(bytes[at]!)) {
      at++;
      continue;
    }
    let length = 0;
    let quote = 0;
    while (at < end && (quote !== 0 || !isSpace(bytes[at]!))) {
      const byte = bytes[at++]!;
      if (quote === 0 && (byte === DOUBLE || byte === SINGLE)) {
        quote = byte;
      } else if (byte === quote) {
        if (at < end && !isSpace(bytes[at]!)) return null;
        quote = 0;
        break;
      } else if (quote === DOUBLE && byte === BACKSLASH && at < end) {
        const high = hexDigit(bytes[at + 1]);
        const low = hexDigit(bytes[at + 2]);
        if (bytes[at] === 120 && at + 2 < end && high >= 0 && low >= 0) {
          word[length++] = high * 16 + low;
          at += 3;
        } else {
          word[length++] = ESCAPES[bytes[at]!] ?? bytes[at]!;
          at++;
        }
      } else if (quote === SINGLE && byte === BACKSLASH && at < end && bytes[at] === SINGLE) {
        word[length++] = bytes[at++]!;
      } else {
        word[length++] = byte;
      }
    }
    if (quote !== 0) return null;
    words.push(Buffer.from(word.subarray(0, length)));
  }
  return words;
}
