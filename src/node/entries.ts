/**
 * Where the two programs are that a node starts: the daemon itself (detached) and an instance. Compiled they are plain
 * JavaScript; in a checkout that runs its sources, the child needs the loader that the parent has.
 */
import { fileURLToPath } from 'node:url';
import { INSTANCE_NODE_FLAGS } from '../instance/node-flags.ts';

export interface Entry {
  /** Flags of Node.js, before the script. */
  readonly flags: readonly string[];
  readonly script: string;
}

const fromSources = import.meta.url.endsWith('.ts');
const loader = fromSources ? ['--import', 'tsx'] : [];

export const nodeEntry = (): Entry => entryOf('./main', []);
export const instanceEntry = (): Entry => entryOf('../instance/main', INSTANCE_NODE_FLAGS);

function entryOf(path: string, own: readonly string[]): Entry {
  return {
    flags: [...own, ...loader],
    script: fileURLToPath(new URL(`${path}.${fromSources ? 'ts' : 'js'}`, import.meta.url)),
  };
}
