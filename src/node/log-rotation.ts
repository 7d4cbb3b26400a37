/**
 * Keeps logs from growing without end while their processes run. A log is a descriptor that a process was given for its standard
 * output, so it cannot be told to open another file: what is in the file is copied to `<name>.1`, and the file is emptied. Writers
 * append (O_APPEND), so they go on at its new end.
 *
 * Copying and emptying happen in one go of this process, so its own lines are never lost; a line that an instance writes just between
 * the two is.
 */
import { copyFileSync, renameSync, statSync, truncateSync } from 'node:fs';
import { LOG_BYTES_MAX, LOG_LOOK_MS } from './limits.ts';

/** Looks at the logs from time to time; returns how to stop that. */
export function keepLogsSmall(paths: () => readonly string[], everyMs = LOG_LOOK_MS): () => void {
  const timer = setInterval(() => {
    for (const path of paths()) rotateLog(path);
  }, everyMs).unref();
  return () => clearInterval(timer);
}

/** Returns whether it was too large. What cannot be done (a full disk, no file) is left for the next time. */
export function rotateLog(path: string, bytesMax = LOG_BYTES_MAX): boolean {
  try {
    if (statSync(path).size <= bytesMax) return false;
    const copy = `${path}.1.tmp`;
    copyFileSync(path, copy);
    truncateSync(path, 0);
    renameSync(copy, `${path}.1`);
    return true;
  } catch {
    return false;
  }
}
