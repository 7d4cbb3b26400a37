/**
 * Replies as the bytes that a client sees, so that a set that should be an array is a difference. What may come in any order is put in
 * one order first.
 */

interface Parsed {
  readonly text: string;
  readonly end: number;
}

/** Splits what a connection received into one text (a char per byte) per whole reply. `isUnordered`: by number of the reply. */
export function splitReplies(bytes: Buffer, isUnordered: (index: number) => boolean = () => false): string[] {
  const text = bytes.toString('latin1');
  const replies: string[] = [];
  for (let at = 0; at < text.length;) {
    const parsed = parse(text, at, isUnordered(replies.length));
    if (parsed === null) break;
    replies.push(parsed.text);
    at = parsed.end;
  }
  return replies;
}

export const countReplies = (bytes: Buffer): number => splitReplies(bytes).length;

/** null: not all of it is there. */
function parse(text: string, at: number, isUnordered: boolean): Parsed | null {
  const lineEnd = text.indexOf('\r\n', at);
  if (lineEnd < 0) return null;
  const line = text.slice(at, lineEnd + 2);
  const count = Number(line.slice(1));
  if ('$=!'.includes(line[0]!)) {
    const end = count < 0 ? lineEnd + 2 : lineEnd + 4 + count;
    return end > text.length ? null : { text: text.slice(at, end), end };
  }
  if (!'*~%>'.includes(line[0]!) || count < 0) return { text: line, end: lineEnd + 2 };
  const isMap = line[0] === '%';
  const items: string[] = [];
  let end = lineEnd + 2;
  for (let i = 0; i < (isMap ? 2 * count : count); i++) {
    const item = parse(text, end, isUnordered);
    if (item === null) return null;
    items.push(item.text);
    end = item.end;
  }
  const units = isMap ? items.filter((_, i) => i % 2 === 0).map((key, i) => key + items[2 * i + 1]!) : items;
  if (isUnordered) units.sort();
  return { text: line + units.join(''), end };
}
