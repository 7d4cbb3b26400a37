/**
 * The control channel to an instance: a client of its own endpoint, as src/instance/config.ts describes. One connection
 * per call: calls are rare, the process at the other end comes and goes, and a call must never meet a stale connection.
 *
 * Every call ends within its limits and throws instance_failed naming the endpoint.
 */
import { Redis } from 'ioredis';
import { z } from 'zod';
import { nameOf, reasonOf } from '../base/error-shape.ts';
import { CrdbError } from '../errors.ts';
import type { InstanceConfig } from '../instance/config.ts';
import { CONTROL_CALL_MS_MAX, CONTROL_CLOSE_MS_MAX, CONTROL_CONNECT_MS_MAX } from './limits.ts';

export const CONTROL_USER = '__control';

const linkStatus = z.object({
  from: z.number(),
  cluster: z.string(),
  endpoint: z.string(),
  state: z.enum(['connecting', 'handshake', 'full-sync', 'streaming', 'waiting', 'paused']),
  lagOperations: z.number(),
  lagMs: z.number().nullable(),
  lastSync: z.object({ kind: z.enum(['partial', 'full']), reason: z.string(), at: z.string() }).nullable(),
  backlogCovered: z.boolean().nullable(),
  lastError: z.string().nullable(),
  replicationId: z.string().nullable(),
  offset: z.number(),
  /** An instance that runs on from before an upgrade does not tell. */
  driftMs: z.number().nullable().default(null),
  fullSync: z
    .object({
      keys: z.number(),
      bytes: z.number(),
      totalBytes: z.number().nullable().default(null),
      percent: z.number().nullable().default(null),
    })
    .nullable()
    .default(null),
  syncs: z.object({ full: z.number(), partialOk: z.number(), partialErr: z.number() }).nullable().default(null),
});

const instanceStatus = z.object({
  guid: z.string(),
  instanceId: z.number(),
  pid: z.number().int(),
  state: z.enum(['loading', 'ready']),
  /** While `loading`. */
  loading: z
    .object({
      phase: z.string(),
      keys: z.number().nullable().default(null),
      loadedBytes: z.number(),
      totalBytes: z.number(),
    })
    .nullable()
    .default(null),
  replicationId: z.string(),
  offset: z.number(),
  keys: z.number(),
  usedMemoryBytes: z.number(),
  uptimeSeconds: z.number(),
  links: z.array(linkStatus),
});

/** What an instance answers to CRDT.STATUS. What one from before an upgrade does not tell is filled in. */
export type InstanceReport = z.infer<typeof instanceStatus>;

export interface InstanceControl {
  status(): Promise<InstanceReport>;
  /** `from` absent: all peers. Already so is fine. */
  pause(from?: number): Promise<void>;
  resume(from?: number): Promise<void>;
  /** A clock of this peer that is too far ahead is accepted until time has caught up; its link goes on at once. */
  acceptClock(from: number): Promise<void>;
  /** Orders a sync of this link and returns; the instance refuses with its reason. */
  resync(from: number, full: boolean): Promise<void>;
  configure(config: InstanceConfig): Promise<void>;
  /** Returns when the instance has taken the order; its process ends a little later. */
  shutdown(): Promise<void>;
}

export type ControlTarget = Pick<InstanceConfig, 'host' | 'port' | 'controlSecret'>;

export function controlInstance(target: ControlTarget): InstanceControl {
  const call = (...args: [string, ...string[]]) => callInstance(target, args);
  return {
    async status() {
      const reply = await call('CRDT.STATUS');
      try {
        return instanceStatus.parse(JSON.parse(String(reply)));
      } catch (error) {
        throw failed(target, `CRDT.STATUS is not understood: ${reasonOf(error)}`);
      }
    },
    async pause(from) {
      await call('CRDT.PAUSE', ...fromArguments(from));
    },
    async resume(from) {
      await call('CRDT.RESUME', ...fromArguments(from));
    },
    async acceptClock(from) {
      await call('CRDT.RESUME', ...fromArguments(from), 'ACCEPT-CLOCK');
    },
    async resync(from, full) {
      await call('CRDT.RESYNC', ...fromArguments(from), ...(full ? ['FULL'] : []));
    },
    async configure(config) {
      await call('CRDT.CONFIGURE', JSON.stringify(config));
    },
    async shutdown() {
      await callInstance(target, ['CRDT.SHUTDOWN'], { closingIsSuccess: true });
    },
  };
}

/** Where an instance is reached from its own machine: something that listens everywhere is reached over loopback. */
export function loopbackOf(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

async function callInstance(
  target: ControlTarget,
  [command, ...args]: readonly [string, ...string[]],
  { closingIsSuccess = false } = {},
): Promise<unknown> {
  const connection = new Redis({
    host: loopbackOf(target.host),
    port: target.port,
    lazyConnect: true,
    connectTimeout: CONTROL_CONNECT_MS_MAX,
    commandTimeout: CONTROL_CALL_MS_MAX,
    disconnectTimeout: CONTROL_CLOSE_MS_MAX,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    disableClientInfo: true,
  });
  let lastError: Error | null = null;
  connection.on('error', (error: Error) => (lastError = error));
  let ordered = false;
  try {
    await connection.connect();
    await connection.call('AUTH', CONTROL_USER, target.controlSecret);
    ordered = true;
    return await connection.call(command, ...args);
  } catch (error) {
    const refused = nameOf(error) === 'ReplyError';
    if (closingIsSuccess && ordered && !refused) return null;
    throw failed(target, `${command}: ${reasonOf(lastError ?? error)}`);
  } finally {
    // On a connection that has closed already this would leave a timer behind.
    if (connection.status !== 'end') connection.disconnect();
  }
}

function fromArguments(from: number | undefined): string[] {
  return from === undefined ? [] : ['FROM', `${from}`];
}

function failed(target: ControlTarget, reason: string): CrdbError {
  return new CrdbError(
    'instance_failed',
    `The instance on ${target.host}:${target.port} does not do what it was asked: ${reason}`,
  );
}
