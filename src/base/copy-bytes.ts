/** Copies bytes between buffers: short runs with a loop (no call into native code), long ones with memcpy. */
export function copyBytes(target: Buffer, to: number, source: Uint8Array, from: number, length: number): void {
  if (length <= 48) {
    for (let i = 0; i < length; i++) target[to + i] = source[from + i]!;
  } else {
    target.set(source.subarray(from, from + length), to);
  }
}
