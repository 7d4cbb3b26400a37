/**
 * What commands reply into. `ReplyWriter` (reply-writer.ts) is the one real implementation: it appends to a pooled buffer
 * and knows the protocol version (RESP2 or RESP3) of the connection that it currently writes for.
 */
export interface Reply {
  /** 2 or 3. */
  readonly protocol: number;
  ok(): void;
  /** `+TEXT`; ASCII. */
  simple(text: string): void;
  /** `-TEXT`; the text includes the code, e.g. `ERR no such key`. Line breaks are replaced. */
  error(text: string): void;
  /** `:N`; a safe integer. */
  integer(value: number): void;
  /** `:N` over the whole int64. */
  bigint(value: bigint): void;
  bulk(bytes: Uint8Array, start: number, length: number): void;
  /** Bulk of text, UTF-8. */
  text(value: string): void;
  /** RESP3 `,N`; RESP2 bulk of the same digits as Redis prints. */
  double(value: number): void;
  /** RESP3 `#t`; RESP2 `:1`. */
  boolean(value: boolean): void;
  /** RESP3 `_`; RESP2 `$-1`. */
  nil(): void;
  /** RESP3 `_`; RESP2 `*-1`. */
  nilArray(): void;
  array(count: number): void;
  /** `%count` in RESP3, `*2*count` in RESP2; count key-value pairs follow. */
  map(count: number): void;
  /** `~count` in RESP3. */
  set(count: number): void;
  /** `>count` in RESP3, an array in RESP2. */
  push(count: number): void;
  /** RESP3 `=N\r\ntxt:...`; RESP2 bulk. */
  verbatim(text: string): void;
}
