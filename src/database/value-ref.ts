/** A visible value: bytes somewhere. Reused; read it before anything else is looked up. */
export class ValueRef {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  length = 0;
}
