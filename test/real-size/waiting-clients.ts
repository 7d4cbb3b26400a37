/** Clients of all instances that write and read a small key all the time: how long the longest of them had to wait. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LiveDatabase } from '../e2e/live-database.ts';

const PAUSE_MS = 3;

export class WaitingClients {
  readonly #database: LiveDatabase;
  readonly #longestMs: number[];
  readonly #running: Promise<void>[];
  #isStopped = false;

  constructor(database: LiveDatabase) {
    this.#database = database;
    this.#longestMs = database.endpoints.map(() => 0);
    this.#running = database.endpoints.flatMap((_, cluster) => [
      this.#repeat(cluster, ['GET', `waiting:${cluster}`]),
      this.#repeat(cluster, ['SET', `waiting:${cluster}`, 'a small value']),
    ]);
  }

  /** Longest wait at each instance since the last call, ms. */
  take(): number[] {
    const taken = this.#longestMs.map((ms) => Math.round(ms));
    this.#longestMs.fill(0);
    return taken;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #repeat(cluster: number, words: readonly string[]): Promise<void> {
    const wire = await this.#database.connect(cluster);
    while (!this.#isStopped) {
      const start = performance.now();
      await wire.ask(...words);
      this.#longestMs[cluster] = Math.max(this.#longestMs[cluster]!, performance.now() - start);
      await sleep(PAUSE_MS);
    }
    wire.close();
  }
}
