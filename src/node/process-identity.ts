/**
 * Which process a recorded pid means. Pids are reused, so a record holds the start time as well, as the kernel counts it
 * (clock ticks since boot, /proc/<pid>/stat). Where there is no /proc the pid alone has to do.
 *
 * A zombie counts as dead: its parent has not asked for the exit code yet, but it runs nothing and holds no port.
 */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { codeOf } from '../base/error-shape.ts';

export const processIdentity = z.object({ pid: z.number().int().min(1), startTime: z.string().nullable() });
export type ProcessIdentity = z.infer<typeof processIdentity>;

const hasProc = existsSync('/proc/self/stat');

/** The process that has this pid now; null when there is none. */
export function identifyProcess(pid: number): ProcessIdentity | null {
  if (!hasProc) return respondsToSignals(pid) ? { pid, startTime: null } : null;
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // "pid (name) state ppid ...": the name may hold blanks and parentheses, so fields are counted from its last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  if (state === 'Z' || state === 'X') return null;
  return { pid, startTime: fields[19] ?? null };
}

/** Why a process may be silent, as the kernel sees it, with what to do; null when it only seems to be busy. */
export function explainSilence(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  const state = stat.charAt(stat.lastIndexOf(')') + 2);
  if (state === 'T' || state === 't')
    return `process ${pid} has been stopped by a signal; let it go on: kill -CONT ${pid}`;
  return state === 'D' ? `process ${pid} waits for the disk` : null;
}

/** Whether exactly the recorded process still runs. */
export function isAlive(recorded: ProcessIdentity): boolean {
  const now = identifyProcess(recorded.pid);
  if (now === null) return false;
  return now.startTime === null || recorded.startTime === null || now.startTime === recorded.startTime;
}

/** Sends the signal to exactly the recorded process. Returns false when it is gone. */
export function signalProcess(recorded: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(recorded)) return false;
  try {
    process.kill(recorded.pid, signal);
    return true;
  } catch {
    return false;
  }
}

function respondsToSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}
