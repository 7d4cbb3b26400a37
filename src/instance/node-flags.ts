/**
 * Flags of the Node.js process that runs an instance. Data lives outside V8's heap, so the heap stays small; a small young generation keeps
 * both its collections and the resident memory short.
 */
export const INSTANCE_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--no-warnings'];
