/** Instances made of the fakes, on one virtual network: endpoint, database, log, replication. */
import type { LinkStatus, PeerConfig } from '../../src/instance/config.ts';
import type { ReplicationLimits } from '../../src/replication/limits.ts';
import { Replication } from '../../src/replication/replication.ts';
import { FakeDatabase, FakeLog, FakeSnapshots, FakeSpool } from './fake-database.ts';
import { FakeClock, FakeNetwork, WIRE, type FakeConnection, type WireOptions } from './fake-network.ts';

export const GUID = 'e0a1c1f6-0000-4000-8000-000000000001';
export const SECRET = 'secret';

export interface InstanceOptions {
  readonly limits?: Partial<ReplicationLimits>;
  readonly skewMs?: number;
  readonly secret?: string;
  readonly guid?: string;
  readonly generation?: number;
  readonly capabilities?: readonly string[];
}

export class FakeInstance {
  readonly id: number;
  readonly database: FakeDatabase;
  readonly log: FakeLog;
  readonly spool: FakeSpool;
  readonly snapshots: FakeSnapshots;
  readonly replication: Replication;
  readonly lines: string[] = [];
  readonly published: string[] = [];
  readonly ownLosses: number[] = [];
  readonly newerGenerations: number[] = [];
  readonly fatal: string[] = [];
  readonly name: string;
  readonly #secret: string;

  constructor(id: number, world: World, options: InstanceOptions) {
    this.id = id;
    this.name = nameOf(id);
    this.#secret = options.secret ?? SECRET;
    this.database = new FakeDatabase(id, options.generation ?? 100, world.clock);
    this.log = new FakeLog(this.database);
    this.spool = new FakeSpool(world.clock);
    this.snapshots = new FakeSnapshots(this.database, this.log, world.clock);
    this.database.capabilities = options.capabilities ?? this.database.capabilities;
    let seed = id;
    this.replication = new Replication({
      guid: options.guid ?? GUID,
      secret: () => this.#secret,
      clock: world.clock.view(options.skewMs ?? 0),
      random: {
        uint32: () => (seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0),
        bytes: (count) => new Uint8Array(count),
      },
      network: world.network.at(this.name),
      database: this.database,
      log: this.log,
      spool: this.spool,
      snapshots: this.snapshots,
      limits: options.limits ?? {},
      events: {
        onOwnLoss: (seqSeen) => {
          this.ownLosses.push(seqSeen);
          this.database.startGeneration(this.database.self.generation + 1);
        },
        onNewerGeneration: (generation) => {
          this.newerGenerations.push(generation);
          this.database.startGeneration(generation + 1);
        },
        onPublish: ({ channel, message }) => this.published.push(`${Buffer.from(channel)}:${Buffer.from(message)}`),
        onMerged: () => undefined,
        onFatal: (reason) => this.fatal.push(reason),
        onLog: (level, line) => this.lines.push(`${level} ${line}`),
      },
    });
    this.log.onPublishable = () => this.replication.notePublishable();
    world.network.listen(this.name, (connection) => this.#serve(connection));
  }

  write(text: string): number {
    const seq = this.database.write(text);
    this.log.wake();
    return seq;
  }

  link(from: number): LinkStatus {
    return this.replication.status().find((link) => link.from === from)!;
  }

  /** The endpoint: AUTH, then CRDT.SYNC, then the connection belongs to the feed. */
  #serve(connection: FakeConnection): void {
    let text = Buffer.alloc(0);
    connection.onData = (bytes) => {
      text = Buffer.concat([text, bytes]);
      for (let command = takeCommand(text); command; command = takeCommand(text)) {
        text = Buffer.from(command.rest);
        if (command.words[0] === 'AUTH') {
          const isRight = command.words[1] === '__replication' && command.words[2] === SECRET;
          connection.write(
            Buffer.from(isRight ? '+OK\r\n' : '-WRONGPASS invalid username-password pair or user is disabled.\r\n'),
          );
        } else return this.replication.accept(connection, command.words[1]!, text);
      }
    };
  }
}

function takeCommand(bytes: Buffer): { readonly words: string[]; readonly rest: Buffer } | null {
  const text = bytes.toString('latin1');
  const header = /^\*(\d+)\r\n/.exec(text);
  if (!header) return null;
  let at = header[0].length;
  const words: string[] = [];
  for (let i = 0; i < Number(header[1]); i++) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (!length) return null;
    at += length[0].length;
    if (text.length < at + Number(length[1]) + 2) return null;
    words.push(bytes.toString('utf8', at, at + Number(length[1])));
    at += Number(length[1]) + 2;
  }
  return { words, rest: bytes.subarray(at) };
}

export const nameOf = (id: number): string => `c${id}.example.com`;

export const peerOf = (id: number): PeerConfig => ({
  id,
  cluster: nameOf(id),
  host: nameOf(id),
  port: 12000,
  paused: false,
});

export class World {
  readonly clock = new FakeClock();
  readonly network: FakeNetwork;
  readonly instances = new Map<number, FakeInstance>();

  constructor(wire: Partial<WireOptions> = {}) {
    this.network = new FakeNetwork(this.clock, { ...WIRE, ...wire });
  }

  add(id: number, options: InstanceOptions = {}): FakeInstance {
    const instance = new FakeInstance(id, this, options);
    this.instances.set(id, instance);
    return instance;
  }

  /** Starts all instances, each with all others as peers. */
  start(): void {
    for (const instance of this.instances.values()) instance.replication.start(this.peersOf(instance.id));
  }

  peersOf(id: number): PeerConfig[] {
    return [...this.instances.keys()].filter((other) => other !== id).map(peerOf);
  }

  isConverged(): boolean {
    const digests = new Set([...this.instances.values()].map((instance) => instance.database.digest()));
    return digests.size === 1;
  }

  async converge(limitMs?: number): Promise<void> {
    await this.clock.until(() => this.isConverged(), 'all instances are equal', limitMs);
  }

  stop(): void {
    for (const instance of this.instances.values()) instance.replication.stop();
  }
}
