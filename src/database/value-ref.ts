/**
 * A visible value: bytes somewhere. There is one for each place that reads values, made once and reused; read it before anything else is looked up.
 *
 * One that points into the arena keeps the whole segment from being freed, so all of them can be made to forget: by whoever gives memory back, between commands.
 */
export class ValueRef {
  static readonly #all: ValueRef[] = [];
  bytes: Uint8Array = NOTHING;
  start = 0;
  length = 0;

  constructor() {
    ValueRef.#all.push(this);
  }

  static forgetAll(): void {
    for (const value of ValueRef.#all) {
      value.bytes = NOTHING;
      value.start = 0;
      value.length = 0;
    }
  }
}

const NOTHING = new Uint8Array(0);
