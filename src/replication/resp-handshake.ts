/**
 * The few words of RESP that a link speaks before its frames: two commands out, two one-line replies in. The endpoint sees an ordinary
 * client until the second `+OK`.
 */

export function encodeCommand(words: readonly string[]): Buffer {
  const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
  return Buffer.from(`*${words.length}\r\n${parts.join('')}`);
}

const LINE_FEED = 10;

/** Splits off lines; what follows the last one that was asked for stays untouched. */
export class ReplyLines {
  readonly #bytesMax: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(lineBytesMax: number) {
    this.#bytesMax = lineBytesMax;
  }

  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
  }

  /** The next line without its end; null: not here yet. `error`: it is too long to be a reply, `text` says so. */
  next(): { readonly text: string; readonly error: boolean } | null {
    const end = this.#bytes.indexOf(LINE_FEED);
    if (end < 0 && this.#bytes.length <= this.#bytesMax) return null;
    if (end < 0 || end > this.#bytesMax) {
      return { text: `the peer's reply has more than ${this.#bytesMax} bytes in one line`, error: true };
    }
    const text = this.#bytes.toString('utf8', 0, end).replace(/\r$/, '');
    this.#bytes = this.#bytes.subarray(end + 1);
    return { text, error: false };
  }

  /** All bytes that no line was made of. */
  rest(): Buffer {
    const rest = this.#bytes;
    this.#bytes = Buffer.alloc(0);
    return rest;
  }
}
