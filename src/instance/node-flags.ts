/**
 * Flags of the Node.js process that runs an instance. Data lives outside V8's heap and hot code allocates nothing, so V8 may be
 * thrifty: its smallest young generation, and old space that grows slowly, save some megabytes and cost no time that could be measured.
 */
export const INSTANCE_NODE_FLAGS: readonly string[] = ['--optimize-for-size', '--no-warnings'];

/**
 * Environment of that process, for its C library. glibc raises both bounds by itself, to 32 and 64 MiB, as soon as a large block was freed: buffers below that
 * then come from its heap, and that much of the heap's end is never given back (docs/decisions/0013-memory-given-back.md). Others ignore them.
 */
export const INSTANCE_ENVIRONMENT: Readonly<Record<string, string>> = {
  /** Blocks of that size, bytes, and above are mapped each by itself: what glibc begins with. */
  MALLOC_MMAP_THRESHOLD_: `${128 * 1024}`,
  /** Free bytes at the heap's end above which they are given back. */
  MALLOC_TRIM_THRESHOLD_: `${4 * 1024 * 1024}`,
};
