/**
 * All feeds of an instance: accepts peers, pumps at most once per turn and millisecond, counts.
 */
import type { Connection, Timer } from '../host/host.ts';
import { FeedDriver, type FeedCounters, type FeedDependencies, type FeedOwner } from './feed-driver.ts';
import type { FeedStage } from './feed.ts';
import { REPLICATION_PROTOCOL } from './limits.ts';
import { encodePublish, shorten, type Publish } from './messages.ts';

export type FeedsDependencies = Omit<FeedDependencies, 'feeds'>;

export interface FeedStatus {
  readonly peer: number;
  readonly stage: FeedStage;
  /** Where in the log it is. */
  readonly position: number;
  readonly publishDropped: number;
  readonly fullSync: { readonly bytes: number; readonly totalBytes: number; readonly percent: number } | null;
  /** Why the last feed to this peer ended, until one streams again. */
  readonly lastError: string | null;
}

interface SyncRequest {
  readonly protocol: unknown;
  readonly guid: unknown;
  readonly instance: unknown;
}

export class Feeds implements FeedOwner {
  readonly #deps: FeedsDependencies;
  readonly #feeds = new Map<number, FeedDriver>();
  #peers: ReadonlySet<number> = new Set();
  readonly counters: FeedCounters = { full: 0, partialOk: 0, partialErr: 0, publishDropped: 0 };
  /** Why the last feed to a peer ended, until the next one streams. */
  readonly #endings = new Map<number, string>();
  #timer: Timer | null = null;
  #isScheduled = false;
  #pumpedAtMs = -Infinity;
  readonly #pump = (): void => this.#pumpAll();

  constructor(deps: FeedsDependencies) {
    this.#deps = deps;
  }

  start(): void {
    const { clock, limits } = this.#deps;
    this.#timer ??= clock.every(limits.heartbeatMs, () => {
      for (const feed of this.#feeds.values()) feed.tick();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const feed of this.#feeds.values()) feed.step({ type: 'closed' });
  }

  /** The instances that may pull; a feed to any other ends. */
  configure(peers: readonly number[]): void {
    this.#peers = new Set(peers);
    for (const peer of this.#endings.keys()) if (!this.#peers.has(peer)) this.#endings.delete(peer);
    for (const [peer, feed] of this.#feeds) {
      if (this.#peers.has(peer)) continue;
      feed.step({
        type: 'failed',
        code: 'UNKNOWNINSTANCE',
        message: `instance ${peer} is no longer part of the database`,
      });
    }
  }

  /**
   * Takes over a connection that was authenticated as `__replication` and sent `CRDT.SYNC <request>`. Answers it, `+OK` or an error after which
   * it closes. `rest`: bytes already read after the command. From here on the connection's handlers belong to the feed.
   */
  accept(connection: Connection, request: string, rest: Uint8Array): void {
    const checked = this.#checkRequest(request);
    if (typeof checked === 'string') {
      this.#deps.events.onLog('info', `feed refused to ${connection.remote}: ${shorten(checked)}`);
      connection.onData = () => undefined;
      connection.onDrain = () => undefined;
      connection.onClose = () => undefined;
      connection.write(Buffer.from(`-${shorten(checked)}\r\n`));
      connection.close();
      return;
    }
    this.#feeds.get(checked)?.step({ type: 'closed' });
    const feed = new FeedDriver(connection, checked, { ...this.#deps, feeds: this });
    this.#feeds.set(checked, feed);
    connection.write(Buffer.from('+OK\r\n'));
    if (rest.length > 0) feed.receive(rest);
  }

  /** A message of one of this instance's own clients goes to all peers, best effort. */
  publish(message: Publish): void {
    if (this.#feeds.size === 0) return;
    const frame = encodePublish(message);
    if (frame.length > this.#deps.limits.controlFrameBytesMax) {
      this.counters.publishDropped++;
      const { controlFrameBytesMax } = this.#deps.limits;
      const text = `${frame.length} bytes, at most ${controlFrameBytesMax} are sent`;
      this.#deps.events.onLog('info', `message not sent to other instances: ${text}`);
      return;
    }
    for (const feed of this.#feeds.values()) feed.publish(frame);
    this.schedulePump();
  }

  /** Has every peer acknowledge all that is in the log now. */
  ask(): void {
    for (const feed of this.#feeds.values()) feed.ask();
    this.schedulePump();
  }

  schedulePump(): void {
    if (this.#isScheduled || this.#feeds.size === 0) return;
    this.#isScheduled = true;
    const { clock, limits } = this.#deps;
    if (clock.monotonicMs() - this.#pumpedAtMs >= limits.pumpMinMs) clock.soon(this.#pump);
    else clock.after(limits.pumpMinMs, this.#pump);
  }

  /** For status: every peer that is fed, or was refused. */
  status(): FeedStatus[] {
    const ended = [...this.#endings].filter(([peer]) => !this.#feeds.has(peer));
    return [
      ...[...this.#feeds.values()].map((feed) => {
        const { peer, machine, position, publishDropped, fullSyncProgress } = feed;
        if (machine.stage === 'streaming') this.#endings.delete(peer);
        const lastError = this.#endings.get(peer) ?? null;
        return { peer, stage: machine.stage, position, publishDropped, fullSync: fullSyncProgress, lastError };
      }),
      ...ended.map(([peer, lastError]) => {
        return { peer, stage: 'closed' as const, position: 0, publishDropped: 0, fullSync: null, lastError };
      }),
    ];
  }

  resetCounters(): void {
    Object.assign(this.counters, { full: 0, partialOk: 0, partialErr: 0, publishDropped: 0 });
  }

  onClosed(feed: FeedDriver): void {
    if (this.#feeds.get(feed.peer) !== feed) return;
    this.#feeds.delete(feed.peer);
    if (feed.lastError !== null && this.#peers.has(feed.peer)) this.#endings.set(feed.peer, feed.lastError);
  }

  #pumpAll(): void {
    this.#isScheduled = false;
    this.#pumpedAtMs = this.#deps.clock.monotonicMs();
    for (const feed of this.#feeds.values()) feed.pump();
  }

  /** The asking instance, or the error reply. */
  #checkRequest(text: string): number | string {
    const request = parseRequest(text);
    const { guid, database } = this.#deps;
    if (!request) return 'ERR CRDT.SYNC expects a JSON object';
    const { instance } = request;
    if (request.protocol !== REPLICATION_PROTOCOL) {
      return `WRONGPROTOCOL replication protocol ${String(request.protocol)} was asked for, this instance speaks ${REPLICATION_PROTOCOL}`;
    }
    if (request.guid !== guid) {
      return `WRONGGUID database ${String(request.guid)} was asked for, this instance belongs to ${guid}`;
    }
    if (instance === database.self.instance) return `WRONGINSTANCE instance ${instance} asked itself`;
    if (typeof instance !== 'number' || !this.#peers.has(instance)) {
      return `UNKNOWNINSTANCE instance ${String(instance)} is not part of the database`;
    }
    return instance;
  }
}

function parseRequest(text: string): SyncRequest | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as SyncRequest) : null;
  } catch {
    return null;
  }
}
