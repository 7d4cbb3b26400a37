/**
 * Flags of the Node.js process that runs an instance. Data lives outside V8's heap and hot code allocates nothing, so V8 may be
 * thrifty: its smallest young generation, and old space that grows slowly, save some megabytes and cost no time that could be measured.
 */
export const INSTANCE_NODE_FLAGS: readonly string[] = ['--optimize-for-size', '--no-warnings'];
