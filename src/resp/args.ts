/**
 * The arguments of one command as offsets into the bytes they arrived in: no string, no copy, one object for all commands.
 *
 * The parser fills `starts` and `lengths`; commands read bytes, numbers or, when cold, strings. What must outlive the
 * command (a MULTI queue, a blocked client) is taken with `copyArgs`.
 *
 * Invariant: valid only until the parser reads on.
 */
export class Args {
  bytes: Buffer = Buffer.alloc(0);
  /** Number of arguments, the command's name included. */
  count = 0;
  starts = new Int32Array(64);
  lengths = new Int32Array(64);

  push(start: number, length: number): void {
    if (this.count === this.starts.length) this.#grow();
    this.starts[this.count] = start;
    this.lengths[this.count++] = length;
  }

  /** The argument as text, one char per byte for ASCII; UTF-8 otherwise. For cold commands. */
  string(index: number): string {
    const start = this.starts[index]!;
    return this.bytes.toString('utf8', start, start + this.lengths[index]!);
  }

  /** The argument as text with one char per byte: loses nothing. */
  latin1(index: number): string {
    const start = this.starts[index]!;
    return this.bytes.toString('latin1', start, start + this.lengths[index]!);
  }

  /** The argument as error texts repeat it: to its first zero byte, `max` bytes at most, one char per byte. */
  echo(index: number, max = Infinity): string {
    const text = this.latin1(index);
    const end = text.indexOf('\0');
    return text.slice(0, Math.min(max, end < 0 ? text.length : end));
  }

  /** A view, not a copy. */
  view(index: number): Buffer {
    const start = this.starts[index]!;
    return this.bytes.subarray(start, start + this.lengths[index]!);
  }

  copy(index: number): Buffer {
    return Buffer.from(this.view(index));
  }

  /** Whether the argument is the given word, ASCII case ignored. `word` is upper case. */
  isWord(index: number, word: string): boolean {
    const length = this.lengths[index]!;
    if (length !== word.length) return false;
    const { bytes } = this;
    const start = this.starts[index]!;
    for (let i = 0; i < length; i++) {
      let byte = bytes[start + i]!;
      if (byte >= 97 && byte <= 122) byte -= 32;
      if (byte !== word.charCodeAt(i)) return false;
    }
    return true;
  }

  #grow(): void {
    const starts = new Int32Array(this.starts.length * 2);
    const lengths = new Int32Array(this.lengths.length * 2);
    starts.set(this.starts);
    lengths.set(this.lengths);
    this.starts = starts;
    this.lengths = lengths;
  }
}

/** Arguments that own their bytes. */
export function copyArgs(args: Args): Args {
  const copy = new Args();
  let total = 0;
  for (let i = 0; i < args.count; i++) total += args.lengths[i]!;
  copy.bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (let i = 0; i < args.count; i++) {
    const length = args.lengths[i]!;
    args.bytes.copy(copy.bytes, at, args.starts[i]!, args.starts[i]! + length);
    copy.push(at, length);
    at += length;
  }
  return copy;
}

/** Arguments made from values: for tests, and for commands that run commands. */
export function makeArgs(values: readonly (string | Uint8Array)[]): Args {
  const args = new Args();
  const parts = values.map((value) => (typeof value === 'string' ? Buffer.from(value) : Buffer.from(value)));
  args.bytes = Buffer.concat(parts);
  let at = 0;
  for (const part of parts) {
    args.push(at, part.length);
    at += part.length;
  }
  return args;
}
