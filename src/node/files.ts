/**
 * Files of the state folder. Each is replaced as a whole and durably: temporary file, fsync, rename, fsync of the folder.
 * So a reader, and a daemon that starts after a power cut, sees the old content or the new one, never a part.
 */
import { access, chmod, mkdir, open, readFile, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import type { z } from 'zod';
import { codeOf, reasonOf } from '../base/error-shape.ts';
import { CrdbError, HOME_HINT } from '../errors.ts';
import { LOG_BYTES_MAX, LOG_TAIL_BYTES } from './limits.ts';
import { createSuffix } from './system.ts';

/** Readable by the owner only: everything that holds a secret. */
export const SECRET_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * With the folders that it is in. Not Node's own recursive `mkdir`: that one never ends where a file system takes no folder
 * and says ENOENT, as /proc does (Node 20), and elsewhere blames the path instead of the reason.
 */
export async function makeFolder(path: string): Promise<void> {
  if (await tryMakeFolder(path)) return;
  await makeFolder(dirname(path));
  if (!(await tryMakeFolder(path))) throw unusableFolder(path, `${dirname(path)} takes no new folder`);
}

/** False when the folder that it is in is missing; throws on all other failures. A folder that is there is fine. */
async function tryMakeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: FOLDER_MODE });
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    if (await isFolder(path)) return true;
    if (codeOf(error) === 'ENOSPC') throw diskFull(dirname(path));
    throw unusableFolder(path, codeOf(error) === 'EEXIST' ? 'it is a file' : systemReasonOf(error));
  }
}

function unusableFolder(path: string, why: string): CrdbError {
  return new CrdbError('failed', `The folder ${path} cannot be made: ${why}`, { hint: HOME_HINT });
}

/** The path and the folders above it that are not there, innermost first: what making it is going to make. */
export async function absentFolders(path: string): Promise<string[]> {
  const absent: string[] = [];
  for (let folder = path; dirname(folder) !== folder && !(await exists(folder)); folder = dirname(folder))
    absent.push(folder);
  return absent;
}

/** In the order given; what is in use stays. */
export async function removeEmptyFolders(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rmdir(path).catch(() => {});
}

/** False when absent. Throws `failed` when it is there and no folder, or cannot be looked at. */
export async function isUsableFolder(path: string): Promise<boolean> {
  let why = 'it is a file';
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    why = systemReasonOf(error);
  }
  throw new CrdbError('failed', `The folder ${path} cannot be used: ${why}`, { hint: HOME_HINT });
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** "permission denied (EACCES)": the system's words without call and path, which the sentence around them has. */
function systemReasonOf(error: unknown): string {
  const [name, text] = getSystemErrorMap().get((error as NodeJS.ErrnoException).errno ?? 0) ?? [];
  return name === undefined ? reasonOf(error) : `${text} (${name})`;
}

export async function replaceFile(path: string, text: string, mode = SECRET_MODE): Promise<void> {
  const temporary = `${path}.${createSuffix()}.tmp`;
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    if (codeOf(error) === 'ENOSPC') throw diskFull(dirname(path));
    throw error;
  }
  await syncFolder(dirname(path));
}

export async function isDiskFull(folder: string): Promise<boolean> {
  return (await statfs(folder)).bavail === 0;
}

export function diskFull(folder: string): CrdbError {
  return new CrdbError('failed', `The disk is full: nothing can be written in ${folder}`, { hint: 'Make room on it.' });
}

export async function replaceJson(path: string, value: unknown): Promise<void> {
  await replaceFile(path, `${JSON.stringify(value, null, 2)}\n`);
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** null when absent. Throws `failed` naming the file when it cannot be read. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return null;
    throw new CrdbError('failed', `${path} cannot be read: ${systemReasonOf(error)}`, { hint: HOME_HINT });
  }
}

/** null when absent. Throws `failed` naming the file when it is damaged. */
export async function readJson<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S> | null> {
  const text = await readText(path);
  if (text === null) return null;
  if (text.trim() === '') throw damaged(path, 'it is empty');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged(path, 'it is no JSON, or not all of it'); // the parser's own words quote the file, which may hold secrets
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw damaged(path, [issue?.path.join('.') ?? '', issue?.message ?? ''].filter((part) => part !== '').join(': '));
}

function damaged(path: string, why: string): CrdbError {
  return new CrdbError('failed', `${path} is damaged: ${why}`, { hint: 'Put a copy of it back, or move it away.' });
}

/**
 * Removes a folder with everything in it so that a crash half-way leaves nothing that looks alive: it is renamed first.
 * Absent is fine.
 */
export async function removeFolder(path: string, removedName: string): Promise<void> {
  try {
    await rename(path, removedName);
  } catch (error) {
    if (isAbsent(error)) return;
    throw error;
  }
  await syncFolder(dirname(path));
  await rm(removedName, { recursive: true, force: true });
}

/** Opens a log for appending; one that has grown too large is set aside first. Returns the descriptor's owner. */
export async function openLog(
  path: string,
): Promise<{ readonly fd: number; readonly sizeBytes: number; close(): Promise<void> }> {
  const before = await fileSize(path);
  if (before > LOG_BYTES_MAX) await rename(path, `${path}.1`);
  const file = await open(path, 'a', SECRET_MODE);
  await chmod(path, SECRET_MODE);
  return { fd: file.fd, sizeBytes: before > LOG_BYTES_MAX ? 0 : before, close: () => file.close() };
}

/** The last lines that were written after `fromBytes`; empty when there are none. A log that is shorter by now was emptied since. */
export async function readLogTail(path: string, fromBytes: number, linesMax: number): Promise<string[]> {
  const size = await fileSize(path);
  const start = Math.max(fromBytes > size ? 0 : fromBytes, size - LOG_TAIL_BYTES);
  if (size <= start) return [];
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(size - start);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    return lines.filter((line) => line.trim() !== '').slice(-linesMax);
  } finally {
    await file.close();
  }
}

/** 0 when absent. */
export async function fileSize(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isAbsent(error)) return 0;
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function isAbsent(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}
