/** `crdb-cli node start` without --detach: the daemon in this process. Its log goes to standard error. */
import { runNode } from '../node/daemon.ts';
import { createLog } from '../node/log.ts';
import type { StartOptions } from './control-plane.ts';
import type { StartDocument } from './start-node.ts';

export interface NodeHere {
  readonly home: string;
  readonly name: string;
  readonly options: StartOptions;
  readonly version: string;
}

/** Returns when SIGINT, SIGTERM or `node stop` has ended it cleanly. Calls `onReady` when the admin API answers. */
export async function runNodeHere(
  { home, name, options, version }: NodeHere,
  onReady: (started: StartDocument) => void,
): Promise<void> {
  const log = createLog(process.stderr);
  await runNode({ home, cluster: name, version, log, ...options }, ({ record }) => {
    onReady({ status: 'started', cluster: record.cluster, admin_url: record.adminUrl, pid: process.pid });
  });
}
