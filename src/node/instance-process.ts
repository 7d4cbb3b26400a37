/**
 * One instance process from outside: how it is found, started, watched and stopped. Used by the supervisor while the daemon
 * lives, and by `stopNode` for what a killed daemon has left behind.
 *
 * The process is detached and in its own session: it survives its daemon, so its pid and start time are kept in a file.
 */
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig } from '../instance/config.ts';
import { INSTANCE_ENVIRONMENT } from '../instance/node-flags.ts';
import { controlInstance } from './control.ts';
import type { Entry } from './entries.ts';
import { isDiskFull, openLog, readJson, readLogTail, replaceJson } from './files.ts';
import type { DatabasePaths } from './home.ts';
import {
  EXIT_POLL_MS,
  LIVENESS_POLL_MS,
  LOG_TAIL_LINES,
  SIGKILL_MS_MAX,
  STOP_LOOK_MS,
  STOP_STALL_MS_MAX,
} from './limits.ts';
import { identifyProcess, isAlive, processIdentity, signalProcess, type ProcessIdentity } from './process-identity.ts';
import { StopProgress } from './stop-progress.ts';
import { monotonicMs, pollUntil, sleep } from './system.ts';

/** Exit code of an instance that could not bind its port (src/instance/config.ts). */
export const EXIT_PORT_IN_USE = 3;

/** Signals that the process does not raise itself: its last words are about something else. */
const FROM_OUTSIDE: readonly NodeJS.Signals[] = ['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'];

export interface ProcessExit {
  /** null when a signal ended it, or when it was not this process's child. */
  readonly code: number | null;
  /** In words, with the last line of its log. */
  readonly reason: string;
}

export interface RunningProcess {
  readonly identity: ProcessIdentity;
  /** Resolves once, when it has ended. */
  readonly exited: Promise<ProcessExit>;
  /** Stops watching; the process goes on. */
  release(): void;
}

/** Starts the instance. Throws when the system cannot start a process. */
export async function startInstance(paths: DatabasePaths, entry: Entry): Promise<RunningProcess> {
  const log = await openLog(paths.log);
  const child = spawn(process.execPath, [...entry.flags, entry.script, paths.config], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
    cwd: paths.directory,
    env: { ...INSTANCE_ENVIRONMENT, ...process.env },
  });
  const ended = new Promise<ProcessExit>((resolve) => {
    child.once('error', (error) => resolve({ code: null, reason: `cannot be started: ${error.message}` }));
    child.once('exit', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `killed by ${signal}`;
      if (signal !== null && FROM_OUTSIDE.includes(signal)) resolve({ code, reason: how });
      else
        void lastLine(paths, log.sizeBytes).then((line) =>
          resolve({ code, reason: line === '' ? how : `${how}: ${line}` }),
        );
    });
  });
  await log.close();
  if (child.pid === undefined) throw new CrdbError('instance_failed', (await ended).reason);
  child.unref();
  const identity = identifyProcess(child.pid) ?? { pid: child.pid, startTime: null };
  // It runs, recorded or not (the disk may be full): whoever took this for a failure would start a second one beside it.
  await replaceJson(paths.pid, identity).catch(() => {});
  return { identity, exited: ended, release: () => child.removeAllListeners() };
}

/** Watches a process that is not this one's child. */
export function watchInstance(identity: ProcessIdentity): RunningProcess {
  let timer: NodeJS.Timeout;
  const exited = new Promise<ProcessExit>((resolve) => {
    timer = setInterval(() => {
      if (isAlive(identity)) return;
      clearInterval(timer);
      resolve({ code: null, reason: "ended while another daemon's child; its exit code is unknown" });
    }, LIVENESS_POLL_MS);
  });
  return { identity, exited, release: () => clearInterval(timer) };
}

/**
 * The instance process that an earlier daemon has left running, or null. Either the recorded process is alive with the
 * recorded start time, or whoever listens on the endpoint knows the control secret and says it is this instance.
 */
export async function findInstance(paths: DatabasePaths, config: InstanceConfig): Promise<ProcessIdentity | null> {
  const recorded = await findRecordedProcess(paths);
  if (recorded !== null) return recorded;
  try {
    const status = await controlInstance(config).status();
    if (status.guid !== config.guid || status.instanceId !== config.instanceId) return null;
    const identity = identifyProcess(status.pid);
    if (identity !== null) await replaceJson(paths.pid, identity);
    return identity;
  } catch {
    return null; // nobody there, or somebody else
  }
}

export interface Stopping {
  readonly paths: DatabasePaths;
  /** null: its file cannot be read, so that it cannot be asked to end, only told. */
  readonly config: InstanceConfig | null;
  readonly identity: ProcessIdentity;
  /** The operator does not want to wait; asked again and again. */
  readonly isForced?: () => boolean;
  /** Bytes that it has written since it was told to stop. */
  readonly onProgress?: (writtenBytes: number) => void;
  readonly stallMsMax?: number;
}

/**
 * Ends the process: CRDT.SHUTDOWN, then SIGTERM, then SIGKILL, the next one only when it has written nothing for a while, or when it is
 * forced. Throws instance_failed when it is still there after all three.
 */
export async function stopInstance(stopping: Stopping): Promise<void> {
  const { paths, config, identity, isForced = () => false } = stopping;
  const steps = [
    async () => !isForced() && config !== null && (await ordersShutdown(config)) && endsWhileItWrites(stopping),
    async () => !isForced() && (!signalProcess(identity, 'SIGTERM') || (await endsWhileItWrites(stopping))),
    async () =>
      !signalProcess(identity, 'SIGKILL') ||
      pollUntil({ withinMs: SIGKILL_MS_MAX, everyMs: EXIT_POLL_MS }, () => !isAlive(identity)),
  ];
  for (const step of steps) {
    if (isAlive(identity) && !(await step())) continue;
    await rm(paths.pid, { force: true });
    return;
  }
  const whose = config === null ? paths.directory : `${config.name} on ${config.host}:${config.port}`;
  throw new CrdbError('instance_failed', `The process ${identity.pid} of ${whose} cannot be ended`);
}

/** Until it is gone (true), or it is forced or stuck (false). */
async function endsWhileItWrites(stopping: Stopping): Promise<boolean> {
  const { paths, identity, isForced = () => false, onProgress = () => {}, stallMsMax = STOP_STALL_MS_MAX } = stopping;
  const progress = new StopProgress(paths);
  let movedMs = monotonicMs();
  let lookedMs = -Infinity;
  while (isAlive(identity)) {
    const nowMs = monotonicMs();
    if (isForced() || nowMs - movedMs >= stallMsMax) return false;
    if (nowMs - lookedMs >= STOP_LOOK_MS) {
      lookedMs = nowMs;
      if (await progress.look()) movedMs = nowMs;
      onProgress(progress.writtenBytes);
    }
    await sleep(EXIT_POLL_MS);
  }
  return true;
}

/** The process that the pid file names, if it still runs: what can be known where the other files are damaged. */
export async function findRecordedProcess(paths: DatabasePaths): Promise<ProcessIdentity | null> {
  const recorded = await readJson(paths.pid, processIdentity).catch(() => null);
  return recorded !== null && recorded.startTime !== null && isAlive(recorded) ? recorded : null;
}

async function ordersShutdown(config: InstanceConfig): Promise<boolean> {
  try {
    await controlInstance(config).shutdown();
    return true;
  } catch {
    return false; // not listening yet, or not answering: signals are next
  }
}

/** What the process said last of why it ended; Node.js itself ends with its version, after the error and its stack. */
async function lastLine(paths: DatabasePaths, fromBytes: number): Promise<string> {
  const lines = await readLogTail(paths.log, fromBytes, LOG_TAIL_LINES).catch(() => []);
  const last = lines.at(-1) ?? '';
  if (/^Node\.js v\d/.test(last)) return lines.findLast((line) => /^\w*Error\b/.test(line)) ?? last;
  // Then it could not write why.
  if (last === '' && (await isDiskFull(paths.directory).catch(() => false))) return 'the disk is full';
  return last;
}
