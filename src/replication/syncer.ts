/**
 * The syncer of an instance: one link per peer, and what concerns all of them: the turn in which batches are applied, early batches, the
 * one full sync at a time, who relays what, the loss of own data, clock drift, what the operator orders.
 */
import type { VersionVector } from '../crdt/version-vector.ts';
import type { Timer } from '../host/host.ts';
import type { LinkStatus, PeerConfig } from '../instance/config.ts';
import { ApplyTurns } from './apply-turns.ts';
import type { LinkMachine, LinkStage } from './link.ts';
import { HOLD, LinkDriver } from './link-driver.ts';
import type { LinkDependencies, LinkOwner } from './link-owner.ts';
import { describeLink, isLinkLevel, LinkHealth, type LinkStatusInput } from './link-health.ts';
import type { Heartbeat } from './messages.ts';
import { Generations, listKnownGenerations } from './origins.ts';
import { decideRelay, type RelayLink } from './relay.ts';

export interface SyncerDependencies extends Omit<LinkDependencies, 'turns' | 'syncer'> {
  /** A peer's version vector, from HELLO or HEARTBEAT. True when it showed that we lost own data and a new generation began. */
  readonly checkOwnLoss: (vector: VersionVector) => boolean;
  /** The local version vector moved by replication. */
  readonly onMoved: () => void;
}

interface Entry {
  readonly link: LinkDriver;
  readonly health: LinkHealth;
}

export class Syncer implements LinkOwner {
  readonly #deps: SyncerDependencies;
  readonly #turns: ApplyTurns;
  readonly #generations: Generations;
  readonly #entries = new Map<number, Entry>();
  #timers: Timer[] = [];
  #fullSyncOwner: LinkDriver | null = null;
  #joinCount = 0;
  #isRunning = false;
  #isRetrying = false;
  #retryAgain = false;
  readonly #retryEarly = (): void => this.#retryAllEarly();

  constructor(deps: SyncerDependencies) {
    this.#deps = deps;
    this.#turns = new ApplyTurns(deps);
    this.#generations = new Generations(deps.database.origins);
  }

  get joinCount(): number {
    return this.#joinCount;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    const { clock, limits } = this.#deps;
    this.#timers = [
      clock.every(limits.heartbeatMs, () => this.#tick()),
      clock.every(limits.relayDecisionMs, () => this.#decideRelay()),
    ];
    for (const { link } of this.#entries.values()) this.#startLink(link);
  }

  stop(): void {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    for (const timer of this.#timers) timer.cancel();
    for (const { link } of this.#entries.values()) link.step({ type: 'stop' });
  }

  /** Adds, changes and removes links. */
  configure(peers: readonly PeerConfig[]): void {
    for (const [id, { link }] of this.#entries) {
      if (peers.some((peer) => peer.id === id)) continue;
      this.#entries.delete(id);
      link.step({ type: 'stop' });
    }
    for (const peer of peers) this.#configureLink(peer);
  }

  /** Stops pulling, from one peer or from all. */
  pause(from?: number): void {
    this.#setPaused(true, from);
  }

  resume(from?: number): void {
    this.#setPaused(false, from);
  }

  /** Connects anew and asks from what is applied by now, or for a full sync. null: ordered; else why it cannot be. */
  resync(order: { readonly from?: number | undefined; readonly full: boolean }): string | null {
    const { from, full } = order;
    const chosen = this.#chooseLinks(from);
    if (typeof chosen === 'string') return chosen;
    const links = chosen.filter((link) => !link.peer.paused);
    if (links.length === 0) {
      const which = from === undefined ? 'all links are' : `the link from instance ${from} is`;
      return `${which} paused: resume first, that is a resync too`;
    }
    for (const link of links) {
      const kind = full ? 'full sync' : 'resync';
      this.#deps.events.onLog('info', `${kind} from instance ${link.peer.id} ordered by the operator`);
      link.step({ type: 'resync', full });
    }
    return null;
  }

  /** What these links bring is taken in although its clock is ahead. null: done; else why not. */
  acceptClock(from: number | undefined): string | null {
    const links = this.#chooseLinks(from);
    if (typeof links === 'string') return links;
    for (const link of links) {
      this.#deps.events.onLog('info', `clock of instance ${link.peer.id} accepted by the operator, however far ahead`);
      link.acceptClock();
    }
    return null;
  }

  #chooseLinks(from: number | undefined): LinkDriver[] | string {
    const links = [...this.#entries.values()].map(({ link }) => link);
    if (links.length === 0) return 'this instance has no peers';
    if (from === undefined) return links;
    const chosen = links.filter((link) => link.peer.id === from);
    if (chosen.length > 0) return chosen;
    return `instance ${from} is no peer of this one, its peers are ${links.map((link) => link.peer.id).join(', ')}`;
  }

  resetCounters(): void {
    for (const { link } of this.#entries.values()) Object.assign(link.syncs, { full: 0, partialOk: 0, partialErr: 0 });
  }

  /** For acknowledgements and stability. */
  knownGenerations(): Map<number, number> {
    return listKnownGenerations(this.#deps.database.origins, this.#generations, (instance) => {
      const link = this.#entries.get(instance)?.link;
      return link?.isConnected ? link.peerGeneration : undefined;
    });
  }

  /** Has every peer send a HEARTBEAT as soon as it has sent all it has. */
  ask(): void {
    for (const { link } of this.#entries.values()) link.ask();
  }

  /** More of the log is on disk. */
  noteDurable(): void {
    for (const { link } of this.#entries.values()) link.noteDurable();
  }

  /** The own generation changed: the peers must know, to send what is left of the earlier one. */
  announceGeneration(): void {
    for (const { link } of this.#entries.values()) link.sendWant();
  }

  status(): LinkStatus[] {
    return [...this.#entries.values()].map((entry) => describeLink(this.#statusInput(entry)));
  }

  // --- what the links tell --------------------------------------------------------------------------------------------

  takeFullSyncSlot(link: LinkDriver): boolean {
    if (this.#fullSyncOwner !== null && this.#fullSyncOwner !== link) return false;
    this.#fullSyncOwner = link;
    return true;
  }

  freeFullSyncSlot(link: LinkDriver): void {
    if (this.#fullSyncOwner !== link) return;
    this.#fullSyncOwner = null;
    this.#turns.wait(() => {
      for (const { link: other } of this.#entries.values()) other.step({ type: 'slot-free' });
    });
  }

  onJoined(link: LinkDriver): void {
    this.#joinCount++;
    this.freeFullSyncSlot(link);
    this.onVectorMoved(link);
  }

  onStageChanged(link: LinkDriver, before: LinkMachine): void {
    const { stage } = link.machine;
    const entry = this.#entryOf(link);
    if (entry && (stage === 'streaming' || stage === 'full-sync'))
      entry.health.deliveredAtMs = this.#deps.clock.monotonicMs();
    this.#logStage(link, before);
    if (stage === 'streaming') this.#decideRelay();
  }

  /** A link that goes down has a line once; further attempts that end alike have none. */
  #logStage(link: LinkDriver, before: LinkMachine): void {
    const { stage, lastError, lastSync } = link.machine;
    const { onLog } = this.#deps.events;
    const from = `from instance ${link.peer.id}`;
    if (stage === 'waiting') {
      const kind = lastError?.replace(/[0-9]+/g, '0') ?? null;
      const isNews = isWorking(before.stage) || kind !== link.loggedError;
      link.loggedError = kind;
      onLog(
        isNews && lastError !== null ? 'info' : 'debug',
        `link waiting ${from}: ${lastError ?? 'another full sync runs'}`,
      );
      return;
    }
    if (stage === 'streaming') link.loggedError = null;
    const detail = stage === 'streaming' || stage === 'full-sync' ? `: ${lastSync?.reason}` : '';
    onLog(isWorking(stage) || stage === 'paused' ? 'info' : 'debug', `link ${stage} ${from}${detail}`);
  }

  onVectorMoved(_link: LinkDriver): void {
    this.#retryAllEarly();
    this.#deps.onMoved();
  }

  onPeerVector(link: LinkDriver, vector: VersionVector): void {
    if (this.#deps.checkOwnLoss(vector)) this.announceGeneration();
    const entry = this.#entryOf(link);
    if (entry) this.#noteLevel(entry);
  }

  onHeartbeat(link: LinkDriver, heartbeat: Heartbeat): void {
    const { clock, events } = this.#deps;
    const driftMs = this.#entryOf(link)?.health.noteClock(heartbeat.wallClockMs - clock.nowMs()) ?? null;
    if (driftMs === null) return;
    const direction = driftMs > 0 ? 'ahead of' : 'behind';
    const text = `clock drift: instance ${link.peer.id} is ${Math.abs(driftMs)} ms ${direction} this one`;
    events.onLog('error', `${text}, at most ${this.#deps.limits.driftMaxMs} ms are allowed`);
  }

  onEarly(_link: LinkDriver): void {
    this.#turns.wait(() => this.#decideRelay());
  }

  // --- inside ---------------------------------------------------------------------------------------------------------

  #configureLink(peer: PeerConfig): void {
    const { clock, limits } = this.#deps;
    const known = this.#entries.get(peer.id);
    if (!known) {
      const link = new LinkDriver(peer, { ...this.#deps, turns: this.#turns, syncer: this });
      this.#entries.set(peer.id, { link, health: new LinkHealth(limits, clock.monotonicMs()) });
      if (this.#isRunning) this.#startLink(link);
      return;
    }
    const before = known.link.peer;
    known.link.peer = peer;
    if (!this.#isRunning) return;
    if (peer.paused !== before.paused) known.link.step({ type: peer.paused ? 'pause' : 'resume' });
    else if (peer.host !== before.host || peer.port !== before.port) known.link.step({ type: 'restart' });
  }

  #startLink(link: LinkDriver): void {
    link.step({ type: link.peer.paused ? 'pause' : 'start' });
  }

  #setPaused(paused: boolean, from: number | undefined): void {
    for (const { link } of this.#entries.values()) {
      if (from === undefined || link.peer.id === from) this.#configureLink({ ...link.peer, paused });
    }
    this.#decideRelay();
  }

  #tick(): void {
    const { clock } = this.#deps;
    for (const entry of this.#entries.values()) {
      if (isDelivering(entry.link)) entry.health.deliveredAtMs = clock.monotonicMs();
      this.#noteLevel(entry);
      this.#leaveEarlierProcess(entry.link);
      entry.link.tick();
    }
  }

  /** A newer generation of the peer is known, and not by this connection: that leads to a process that is no more. */
  #leaveEarlierProcess(link: LinkDriver): void {
    const newest = this.#generations.newestOf(link.peer.id);
    if (link.peerGeneration < 0 || link.peerGeneration >= newest) return;
    this.#deps.events.onLog(
      'info',
      `link from instance ${link.peer.id} starts over: it has begun generation ${newest}`,
    );
    link.step({ type: 'restart' });
  }

  /** Tries what came early, on all links, until nothing moves or the turn is over. */
  #retryAllEarly(): void {
    if (this.#isRetrying) {
      this.#retryAgain = true;
      return;
    }
    this.#isRetrying = true;
    let wasTried = false;
    do {
      this.#retryAgain = false;
      for (const { link } of this.#entries.values()) {
        if (link.early.count === 0) continue;
        this.#turns.enter();
        wasTried = true;
        if (link.retryEarly(this.#turns.isOver) === 0) continue;
        this.#retryAgain = true;
        link.noteApplied();
        if (!link.early.isFull) link.release(HOLD.early);
      }
    } while (this.#retryAgain && !this.#turns.isOver());
    this.#isRetrying = false;
    if (this.#retryAgain || (wasTried && this.#turns.isOver())) this.#turns.wait(this.#retryEarly);
  }

  #decideRelay(): void {
    if (!this.#isRunning) return;
    const { database, limits } = this.#deps;
    const needed = this.#listNeeds();
    const wants = decideRelay({
      self: database.self.instance,
      origins: database.origins,
      isRetired: (origin) => this.#generations.isRetired(origin),
      local: database.vector,
      links: [...this.#entries.values()].map((entry) => this.#relayLink(entry)),
      needed,
      graceMs: limits.relayGraceMs,
    });
    for (const { link } of this.#entries.values()) {
      this.#applyWant(link, wants.get(link.peer.id) ?? []);
      if (link.earlyStallMs >= limits.earlyStallMs && this.#carriesAny(link, needed)) {
        this.#deps.events.onLog(
          'info',
          `link from instance ${link.peer.id} starts over: its batches wait for others it has`,
        );
        link.step({ type: 'restart' });
      }
    }
  }

  /** Whether the feed of that link is asked for an origin that early batches wait for, or carries it anyway (listWantedOrigins). */
  #carriesAny(link: LinkDriver, needed: ReadonlyMap<number, ReadonlySet<number>>): boolean {
    const { self, origins } = this.#deps.database;
    for (const [origin, peers] of needed) {
      if (link.want.includes(origin)) return true;
      const isCarried = this.#generations.isRetired(origin) || origins.at(origin).instance === self.instance;
      if (isCarried && peers.has(link.peer.id)) return true;
    }
    return false;
  }

  /**
   * A relayed origin that we are level with by now stays wanted as long as its own link is down: WANT is about the link, not about
   * the moment.
   */
  #applyWant(link: LinkDriver, decided: readonly number[]): void {
    const kept = link.want.filter((origin) => !decided.includes(origin) && this.#isStillRelayed(link, origin));
    const want = [...decided, ...kept].sort((a, b) => a - b);
    if (want.length === link.want.length && want.every((origin, i) => origin === link.want[i])) return;
    link.want = want;
    if (link.isStreaming) link.sendWant();
    const names = want.map((origin) => this.#deps.database.origins.at(origin).instance).join(', ');
    this.#deps.events.onLog(
      'info',
      `relay by instance ${link.peer.id}: ${names === '' ? 'nothing any more' : `instance ${names}`}`,
    );
  }

  #isStillRelayed(link: LinkDriver, origin: number): boolean {
    if (this.#generations.isRetired(origin)) return false;
    const direct = this.#entries.get(this.#deps.database.origins.at(origin).instance);
    if (direct && (isDelivering(direct.link) || direct.link.peer.paused || direct.link.awaitsClock)) return false;
    for (const { link: other } of this.#entries.values()) {
      if (other !== link && other.isStreaming && other.peer.id < link.peer.id && other.want.includes(origin))
        return false;
    }
    return true;
  }

  #relayLink({ link, health }: Entry): RelayLink {
    const delivering = isDelivering(link);
    return {
      peer: link.peer.id,
      isDelivering: delivering,
      isStreaming: link.isStreaming,
      isPaused: link.peer.paused || link.awaitsClock,
      downMs: delivering ? 0 : this.#deps.clock.monotonicMs() - health.deliveredAtMs,
      vector: link.peerVector,
    };
  }

  #listNeeds(): Map<number, Set<number>> {
    const needed = new Map<number, Set<number>>();
    for (const { link } of this.#entries.values()) {
      if (link.early.count === 0) continue;
      link.early.listNeeds(this.#deps.database, (origin) => {
        const peers = needed.get(origin);
        if (peers) peers.add(link.peer.id);
        else needed.set(origin, new Set([link.peer.id]));
      });
    }
    return needed;
  }

  #noteLevel(entry: Entry): void {
    if (isLinkLevel(this.#statusInput(entry))) entry.health.noteLevel(this.#deps.clock.monotonicMs());
  }

  #statusInput({ link, health }: Entry): LinkStatusInput {
    const { guid, database, clock } = this.#deps;
    return { link, health, guid, database, generations: this.#generations, clock };
  }

  #entryOf(link: LinkDriver): Entry | undefined {
    const entry = this.#entries.get(link.peer.id);
    return entry?.link === link ? entry : undefined;
  }
}

const isDelivering = ({ machine }: LinkDriver): boolean => isWorking(machine.stage);

const isWorking = (stage: LinkStage): boolean => stage === 'streaming' || stage === 'full-sync';
