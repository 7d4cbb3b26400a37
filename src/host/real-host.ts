/** The machine as it is: the one place, with its neighbours in this folder, that touches the system's clock, timers and randomness. */
import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { collectGarbage } from './collect-garbage.ts';
import type { Clock, Host, Random, Timer } from './host.ts';
import { RealDisk } from './real-disk.ts';
import { TcpNetwork } from './tcp-connection.ts';

class RealClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  after(delayMs: number, fn: () => void): Timer {
    const timeout = setTimeout(fn, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  }

  every(periodMs: number, fn: () => void): Timer {
    const interval = setInterval(fn, periodMs);
    return { cancel: () => clearInterval(interval) };
  }

  soon(fn: () => void): void {
    setImmediate(fn);
  }
}

/** Cryptographically strong; numbers come from a pool, one system call for many. */
class RealRandom implements Random {
  readonly #pool = new Uint32Array(1024);
  #used = this.#pool.length;

  uint32(): number {
    if (this.#used === this.#pool.length) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    return this.#pool[this.#used++]!;
  }

  bytes(count: number): Uint8Array {
    return randomFillSync(new Uint8Array(count));
  }
}

/** Linux has one; elsewhere the question stays open. */
function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

export const createRealHost = (): Host => ({
  bootId: readBootId(),
  clock: new RealClock(),
  random: new RealRandom(),
  disk: new RealDisk(),
  network: new TcpNetwork(),
  collectGarbage,
});
