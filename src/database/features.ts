/**
 * Which features a batch asks of its reader: a peer says in its HELLO what it knows, and is not sent what it does not. Only looked at where a peer knows less than this
 * release. Features are named in containers.ts.
 */
import { readVarint, varintBytes } from '../base/varint.ts';
import { BATCH, BATCH_HAS_CONTEXT } from '../crdt/frame.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import { EffectReader, type EffectHandler } from './effects.ts';

/** The names of features by the kinds of effects that need them. */
export interface EffectFeatures {
  readonly cell: string;
  readonly field: string;
  readonly member: string;
}

/** The features that the effects of a whole BATCH frame need. Throws MalformedBatchError. */
export function featuresOfBatch(
  bytes: Uint8Array,
  range: { readonly start: number; readonly end: number },
  origins: OriginTable,
  names: EffectFeatures,
): Set<string> {
  const needs = new Set<string>();
  new EffectReader(origins).read(bytes, effectsStart(bytes, range.start), range.end, handlerInto(needs, names));
  return needs;
}

function effectsStart(bytes: Uint8Array, start: number): number {
  let at = start + BATCH.body;
  if ((bytes[start + BATCH.flags]! & BATCH_HAS_CONTEXT) === 0) return at;
  const count = readVarint(bytes, at);
  at += varintBytes(count);
  for (let i = 0; i < count; i++) at += 5 + varintBytes(readVarint(bytes, at + 5));
  return at;
}

function handlerInto(needs: Set<string>, names: EffectFeatures): EffectHandler {
  const cell = (): void => void needs.add(names.cell);
  const field = (): void => void needs.add(names.field);
  const member = (): void => void needs.add(names.member);
  return {
    key: () => undefined,
    set: cell,
    remove: cell,
    add: cell,
    expire: cell,
    flush: cell,
    cut: cell,
    setField: field,
    removeField: field,
    addField: field,
    expireField: field,
    cutField: field,
    addMember: member,
    removeMember: member,
  };
}
