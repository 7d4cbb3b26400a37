/**
 * All or nothing: each step that changes something first says how to take it back. On failure everything is taken back
 * in reverse order; one that cannot be does not keep the others from being tried, and the operator learns about it.
 */
import { CrdbError } from '../errors.ts';
import { describeError } from './describe-error.ts';

interface UndoAction {
  readonly what: string;
  readonly undo: () => Promise<void>;
}

export class UndoStack {
  readonly #actions: UndoAction[] = [];
  #running: UndoAction | null = null;

  /** `what` completes the sentence "Could not ...". */
  push(what: string, undo: () => Promise<void>): void {
    this.#actions.push({ what, undo });
  }

  /** What is not taken back, the first to go first. */
  get left(): readonly string[] {
    return [...this.#actions, ...(this.#running === null ? [] : [this.#running])].map(({ what }) => what).reverse();
  }

  get isEmpty(): boolean {
    return this.#actions.length === 0;
  }

  /** Returns the error to throw: `cause` itself, or with the list of what was left behind. */
  async undoAll(cause: unknown): Promise<unknown> {
    const left: string[] = [];
    for (let action = this.#actions.pop(); action !== undefined; action = this.#actions.pop()) {
      this.#running = action;
      try {
        await action.undo();
      } catch (error) {
        left.push(`could not ${action.what}: ${describeError(error).message}`);
      }
    }
    this.#running = null;
    if (left.length === 0) return cause;
    const { code, message, hint } = describeError(cause);
    return new CrdbError(code, `${message}; and while taking it back: ${left.join('; ')}`, { hint, cause });
  }
}
