/**
 * What a batch asks of its reader, by name: a peer says in its HELLO what it knows, and is not sent what it does not. The names are for ever; a new effect or record
 * of a snapshot gets a new one.
 */
import { BATCH, BATCH_HAS_CONTEXT } from '../crdt/frame.ts';
import { readVarint, varintBytes } from '../base/varint.ts';
import type { OriginTable } from '../crdt/version-vector.ts';
import { EffectReader, type EffectHandler } from './effects.ts';

/** All that this release knows. */
export const FEATURES = ['string', 'counter', 'expiry', 'hash', 'set', 'flush'] as const;

export type Feature = (typeof FEATURES)[number];

/** The features that the effects of a whole BATCH frame need. Throws MalformedBatchError. */
export function featuresOf(bytes: Uint8Array, start: number, end: number, origins: OriginTable): Set<Feature> {
  const needs = new Set<Feature>();
  new EffectReader(origins).read(bytes, effectsStart(bytes, start), end, handlerInto(needs));
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

function handlerInto(needs: Set<Feature>): EffectHandler {
  const add = (feature: Feature): void => void needs.add(feature);
  return {
    key: () => undefined,
    set: () => add('string'),
    remove: () => undefined,
    add: () => add('counter'),
    expire: () => add('expiry'),
    setField: () => add('hash'),
    removeField: () => add('hash'),
    addField: () => add('hash'),
    expireField: () => add('hash'),
    addMember: () => add('set'),
    removeMember: () => add('set'),
    flush: () => add('flush'),
  };
}
