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
import { controlInstance } from './control.ts';
import type { Entry } from './entries.ts';
import { isDiskFull, openLog, readJson, readLogTail, replaceJson } from './files.ts';
import type { DatabasePaths } from './home.ts';
import {
  EXIT_POLL_MS,
  INSTANCE_SHUTDOWN_MS_MAX,
  INSTANCE_SIGTERM_MS_MAX,
  LIVENESS_POLL_MS,
  SIGKILL_MS_MAX,
} from './limits.ts';
import { identifyProcess, isAlive, processIdentity, signalProcess, type ProcessIdentity } from './process-identity.ts';
import { pollUntil } from './system.ts';

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
  const recorded = await readJson(paths.pid, processIdentity).catch(() => null);
  if (recorded !== null && recorded.startTime !== null && isAlive(recorded)) return recorded;
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

/**
 * Ends the process: CRDT.SHUTDOWN, then SIGTERM, then SIGKILL, each with its limit. Throws instance_failed when it is
 * still there after all three.
 */
export async function stopInstance(
  paths: DatabasePaths,
  config: InstanceConfig,
  identity: ProcessIdentity,
): Promise<void> {
  const endsWithin = (withinMs: number) => pollUntil({ withinMs, everyMs: EXIT_POLL_MS }, () => !isAlive(identity));
  const steps = [
    async () => (await ordersShutdown(config)) && endsWithin(INSTANCE_SHUTDOWN_MS_MAX),
    async () => !signalProcess(identity, 'SIGTERM') || endsWithin(INSTANCE_SIGTERM_MS_MAX),
    async () => !signalProcess(identity, 'SIGKILL') || endsWithin(SIGKILL_MS_MAX),
  ];
  for (const step of steps) {
    if (isAlive(identity) && !(await step())) continue;
    await rm(paths.pid, { force: true });
    return;
  }
  throw new CrdbError(
    'instance_failed',
    `The process ${identity.pid} of ${config.name} on ${config.host}:${config.port} cannot be ended`,
  );
}

async function ordersShutdown(config: InstanceConfig): Promise<boolean> {
  try {
    await controlInstance(config).shutdown();
    return true;
  } catch {
    return false; // not listening yet, or not answering: signals are next
  }
}

async function lastLine(paths: DatabasePaths, fromBytes: number): Promise<string> {
  const [line = ''] = await readLogTail(paths.log, fromBytes, 1).catch(() => []);
  // Then it could not write why.
  if (line === '' && (await isDiskFull(paths.directory).catch(() => false))) return 'the disk is full';
  return line;
}
