/**
 * Where the two programs are that a node starts: the daemon itself (detached) and an instance. Compiled they are plain
 * JavaScript; in a checkout that runs its sources, the child needs the loader that the parent has.
 */
import { fileURLToPath } from 'node:url';

export interface Entry {
  /** Flags of Node.js, before the script. */
  readonly flags: readonly string[];
  readonly script: string;
}

const fromSources = import.meta.url.endsWith('.ts');
const flags = fromSources ? ['--import', 'tsx'] : [];

export const nodeEntry = (): Entry => entryOf('./main');
export const instanceEntry = (): Entry => entryOf('../instance/main');

function entryOf(path: string): Entry {
  return { flags, script: fileURLToPath(new URL(`${path}.${fromSources ? 'ts' : 'js'}`, import.meta.url)) };
}
