/**
 * Imported by what lets nodes and databases choose their ports (`cli-home.ts`, `nodes.ts`): one such suite at a time, though Jest runs two.
 *
 * A node that is stopped, or an instance that is killed, leaves its port free for a moment; a database that another suite creates just then would
 * take it, since both look for the first free one. The wait is here, while the suite is loaded, because no test's time limit counts here.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll } from '@jest/globals';

const LOCK = join(tmpdir(), `crdb-cli-ports-${process.getuid?.() ?? 0}`);
const LOOK_MS = 100;

/** False while a process that lives has them. */
function take(): boolean {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    return holder() === process.pid;
  }
}

/** Process id of who has them; null when nobody has. */
function holder(): number | null {
  try {
    return Number(readFileSync(LOCK, 'utf8'));
  } catch {
    return null;
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

while (!take()) {
  const pid = holder();
  // Nobody any more: not removed, since another suite may have taken them since.
  if (pid !== null && !lives(pid)) rmSync(LOCK, { force: true });
  else await sleep(LOOK_MS);
}

afterAll(() => rmSync(LOCK, { force: true }));
