/**
 * The frames that exist on a link only: encoding and decoding. Batches pass through untouched.
 *
 * Decoders take the frame's payload and return the message, or a sentence that says what is wrong with it; nothing a peer
 * sends makes them throw. docs/internals/frames.md has the table, docs/internals/replication.md the order.
 */
import { assert } from '../base/assert.ts';
import { readVarint } from '../base/varint.ts';
import { FRAME, FRAME_HEADER_BYTES, readU32, readU48, writeU32, writeU48 } from '../crdt/frame.ts';
import {
  ORIGINS_MAX,
  describeVersionVector,
  parseVersionVector,
  readVersionVector,
  versionVectorBytesMax,
  writeVersionVector,
  type OriginTable,
  type VersionVector,
} from '../crdt/version-vector.ts';
import { REPLICATION_LIMITS, type ReplicationLimits } from './limits.ts';

/** First message in both directions. */
export interface Hello {
  readonly protocol: number;
  readonly guid: string;
  readonly instance: number;
  /** The speaker's current generation. */
  readonly generation: number;
  /** What the speaker has applied. */
  readonly vector: VersionVector;
  /** What the speaker's log may no longer hold; only the serving side says it. */
  readonly floor: VersionVector | null;
  /** Origins (indexes) the pulling side wants relayed. */
  readonly want: readonly number[];
  /** The pulling side wants a full sync, whatever the log holds. */
  readonly full: boolean;
  /** Features that the speaker understands. */
  readonly capabilities: readonly string[];
  /** Reserved: 0. */
  readonly compression: number;
}

export interface FullResync {
  readonly reason: string;
  readonly vector: VersionVector;
  /** Of the whole snapshot. */
  readonly bytes: number;
}

export interface Ack {
  readonly applied: VersionVector;
  readonly durable: VersionVector;
  /** Instance -> the newest generation of it that the speaker knows, and behind which it takes in nothing any more (see stability.ts). */
  readonly generations: ReadonlyMap<number, number>;
}

export interface Heartbeat {
  readonly vector: VersionVector;
  /** The speaker's wall clock. */
  readonly wallClockMs: number;
  /** End of the speaker's log. */
  readonly position: number;
  readonly floor: VersionVector;
  readonly generation: number;
}

export interface Want {
  /** The speaker's current generation: its earlier ones are retired. */
  readonly generation: number;
  readonly origins: readonly number[];
}

export interface Publish {
  readonly sharded: boolean;
  readonly channel: Uint8Array;
  readonly message: Uint8Array;
}

export interface PeerError {
  readonly code: string;
  readonly message: string;
}

const text = new TextDecoder();

/** An instance and a generation. */
const GENERATION_BYTES = 5;
/** Capabilities that a HELLO may name. */
const CAPABILITIES_MAX = 256;

// --- encoding ---------------------------------------------------------------------------------------------------------

function allocateFrame(kind: number, payloadBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payloadBytes);
  writeU32(frame, 0, payloadBytes + 1);
  frame[4] = kind;
  return frame;
}

function encodeJson(kind: number, value: unknown): Buffer {
  const json = Buffer.from(JSON.stringify(value));
  const frame = allocateFrame(kind, json.length);
  json.copy(frame, FRAME_HEADER_BYTES);
  return frame;
}

const nameOrigins = (indexes: readonly number[], origins: OriginTable): string[] =>
  indexes.map((index) => `${origins.at(index).instance}:${origins.at(index).generation}`);

export function encodeHello(hello: Hello, origins: OriginTable): Buffer {
  return encodeJson(FRAME.hello, {
    ...hello,
    vector: describeVersionVector(hello.vector, origins),
    floor: hello.floor && describeVersionVector(hello.floor, origins),
    want: nameOrigins(hello.want, origins),
  });
}

export const encodeContinue = (reason: string): Buffer => encodeJson(FRAME.continue, { reason: shorten(reason) });

export function encodeFullResync(message: FullResync, origins: OriginTable): Buffer {
  return encodeJson(FRAME.fullResync, {
    ...message,
    reason: shorten(message.reason),
    vector: describeVersionVector(message.vector, origins),
  });
}

/** The header alone: the piece follows as it lies. */
export function encodeSnapshotHeader(payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  writeU32(header, 0, payloadBytes + 1);
  header[4] = FRAME.snapshot;
  return header;
}

export const encodeSnapshotEnd = (): Buffer => allocateFrame(FRAME.snapshotEnd, 0);

export const encodeAsk = (): Buffer => allocateFrame(FRAME.ask, 0);

export function encodeAck(ack: Ack, origins: OriginTable): Buffer {
  const vectorBytesMax = versionVectorBytesMax(ack.applied) + versionVectorBytesMax(ack.durable);
  const frame = allocateFrame(FRAME.ack, vectorBytesMax + 1 + ack.generations.size * GENERATION_BYTES);
  let at = writeVersionVector(frame, FRAME_HEADER_BYTES, ack.applied, origins);
  at = writeVersionVector(frame, at, ack.durable, origins);
  frame[at++] = ack.generations.size;
  for (const [instance, generation] of ack.generations) {
    frame[at] = instance;
    writeU32(frame, at + 1, generation);
    at += GENERATION_BYTES;
  }
  return cutFrame(frame, at);
}

export function encodeHeartbeat(heartbeat: Heartbeat, origins: OriginTable): Buffer {
  const vectorBytesMax = versionVectorBytesMax(heartbeat.vector) + versionVectorBytesMax(heartbeat.floor);
  const frame = allocateFrame(FRAME.heartbeat, vectorBytesMax + 20);
  let at = writeVersionVector(frame, FRAME_HEADER_BYTES, heartbeat.vector, origins);
  at = writeU64(frame, at, heartbeat.wallClockMs);
  at = writeU64(frame, at, heartbeat.position);
  at = writeVersionVector(frame, at, heartbeat.floor, origins);
  writeU32(frame, at, heartbeat.generation);
  return cutFrame(frame, at + 4);
}

export const encodeWant = (want: Want, origins: OriginTable): Buffer =>
  encodeJson(FRAME.want, { generation: want.generation, origins: nameOrigins(want.origins, origins) });

export function encodePublish(publish: Publish): Buffer {
  const { channel, message } = publish;
  const frame = allocateFrame(FRAME.publish, 5 + channel.length + message.length);
  frame[FRAME_HEADER_BYTES] = publish.sharded ? 1 : 0;
  writeU32(frame, FRAME_HEADER_BYTES + 1, channel.length);
  frame.set(channel, FRAME_HEADER_BYTES + 5);
  frame.set(message, FRAME_HEADER_BYTES + 5 + channel.length);
  return frame;
}

export const encodeError = ({ code, message }: PeerError): Buffer =>
  encodeJson(FRAME.error, { code, message: shorten(message) });

/**
 * A message as frames: itself, or where it is larger than one frame may be, PART frames and then the rest under its own kind. Throws where it is larger
 * than a message may be: whoever makes one keeps within that.
 */
export function splitMessage(frame: Buffer, limits: ReplicationLimits): Buffer[] {
  const { controlFrameBytesMax, controlMessageBytesMax } = limits;
  assert(frame.length <= controlMessageBytesMax, 'a message keeps within its limit');
  if (frame.length <= controlFrameBytesMax) return [frame];
  const payloadMax = controlFrameBytesMax - FRAME_HEADER_BYTES;
  const frames: Buffer[] = [];
  for (let at = FRAME_HEADER_BYTES; at < frame.length; at += payloadMax) {
    const end = Math.min(at + payloadMax, frame.length);
    const part = allocateFrame(end === frame.length ? frame[4]! : FRAME.part, end - at);
    frame.copy(part, FRAME_HEADER_BYTES, at, end);
    frames.push(part);
  }
  return frames;
}

/** Text that may hold anything, as one line of bounded length. */
export const shorten = (line: string): string =>
  line.replace(/[^\P{C}]/gu, ' ').slice(0, REPLICATION_LIMITS.textCharsMax);

/** Gives a frame that was allocated too large its real length. */
function cutFrame(frame: Buffer, end: number): Buffer {
  writeU32(frame, 0, end - 4);
  return frame.subarray(0, end);
}

function writeU64(bytes: Uint8Array, at: number, value: number): number {
  writeU48(bytes, at, value);
  bytes[at + 6] = 0;
  bytes[at + 7] = 0;
  return at + 8;
}

// --- decoding: the payload in, the message or what is wrong with it out ---------------------------------------------------

export function decodeHello(payload: Uint8Array, origins: OriginTable): Hello | string {
  const json = decodeJson(payload, 'HELLO');
  if (typeof json === 'string') return json;
  const { protocol, guid, instance, generation } = json;
  if (typeof protocol !== 'number' || typeof guid !== 'string') return 'HELLO without protocol or guid';
  if (!isInstance(instance) || !isGeneration(generation)) return 'HELLO without instance or generation';
  const vector = decodeVectorJson(json.vector, origins);
  const floor = json.floor === null || json.floor === undefined ? null : decodeVectorJson(json.floor, origins);
  if (typeof vector === 'string') return `HELLO: vector: ${vector}`;
  if (typeof floor === 'string') return `HELLO: floor: ${floor}`;
  const want = decodeOrigins(json.want ?? [], origins);
  if (typeof want === 'string') return `HELLO: ${want}`;
  const compression = typeof json.compression === 'number' ? json.compression : 0;
  const capabilities = decodeNames(json.capabilities ?? []);
  if (capabilities === null) return 'HELLO: capabilities are no list of names';
  const full = json.full === true;
  return { protocol, guid, instance, generation, vector, floor, want, full, capabilities, compression };
}

export function decodeContinue(payload: Uint8Array): { readonly reason: string } | string {
  const json = decodeJson(payload, 'CONTINUE');
  if (typeof json === 'string') return json;
  return typeof json.reason === 'string' ? { reason: shorten(json.reason) } : 'CONTINUE without a reason';
}

export function decodeFullResync(payload: Uint8Array, origins: OriginTable): FullResync | string {
  const json = decodeJson(payload, 'FULLRESYNC');
  if (typeof json === 'string') return json;
  const vector = decodeVectorJson(json.vector, origins);
  if (typeof vector === 'string') return `FULLRESYNC: vector: ${vector}`;
  if (typeof json.reason !== 'string') return 'FULLRESYNC without a reason';
  const { bytes } = json;
  if (!Number.isSafeInteger(bytes) || Number(bytes) < 0) return 'FULLRESYNC without its bytes';
  return { reason: shorten(json.reason), vector, bytes: Number(bytes) };
}

export function decodeAck(payload: Uint8Array, origins: OriginTable): Ack | string {
  const applied = decodeVector(payload, 0, origins);
  const durable = applied && decodeVector(payload, applied.end, origins);
  if (!durable || !applied) return 'ACK is cut short';
  const count = payload[durable.end];
  const start = durable.end + 1;
  if (count === undefined || start + count * GENERATION_BYTES > payload.length) return 'ACK is cut short';
  const generations = new Map<number, number>();
  for (let i = 0; i < count; i++) {
    const at = start + i * GENERATION_BYTES;
    generations.set(payload[at]!, readU32(payload, at + 1));
  }
  return { applied: applied.vector, durable: durable.vector, generations };
}

export function decodeHeartbeat(payload: Uint8Array, origins: OriginTable): Heartbeat | string {
  const vector = decodeVector(payload, 0, origins);
  if (!vector || vector.end + 16 > payload.length) return 'HEARTBEAT is cut short';
  const floor = decodeVector(payload, vector.end + 16, origins);
  if (!floor || floor.end + 4 > payload.length) return 'HEARTBEAT is cut short';
  return {
    vector: vector.vector,
    wallClockMs: readU48(payload, vector.end),
    position: readU48(payload, vector.end + 8),
    floor: floor.vector,
    generation: readU32(payload, floor.end),
  };
}

export function decodeWant(payload: Uint8Array, origins: OriginTable): Want | string {
  const json = decodeJson(payload, 'WANT');
  if (typeof json === 'string') return json;
  if (!isGeneration(json.generation)) return 'WANT without a generation';
  const wanted = decodeOrigins(json.origins, origins);
  return typeof wanted === 'string' ? `WANT: ${wanted}` : { generation: json.generation, origins: wanted };
}

/** The bytes are views. */
export function decodePublish(payload: Uint8Array): Publish | string {
  if (payload.length < 5) return 'PUBLISH is cut short';
  const channelEnd = 5 + readU32(payload, 1);
  if (channelEnd > payload.length) return 'PUBLISH is cut short';
  return { sharded: payload[0] === 1, channel: payload.subarray(5, channelEnd), message: payload.subarray(channelEnd) };
}

export function decodeError(payload: Uint8Array): PeerError | string {
  const json = decodeJson(payload, 'ERROR');
  if (typeof json === 'string') return json;
  if (typeof json.code !== 'string' || typeof json.message !== 'string') return 'ERROR without code or message';
  return { code: shorten(json.code), message: shorten(json.message) };
}

function decodeJson(payload: Uint8Array, name: string): Record<string, unknown> | string {
  try {
    const value: unknown = JSON.parse(text.decode(payload));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    return `${name} is not JSON`;
  }
  return `${name} is not a JSON object`;
}

const isInstance = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 255;

const isGeneration = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff_ffff;

/** Every origin that is read takes an index for good: a peer may not use them up. */
const hasRoomFor = (count: number, origins: OriginTable): boolean =>
  count <= REPLICATION_LIMITS.originsPerMessageMax && origins.count + count <= ORIGINS_MAX;

/** The same where the names are at hand: those that are known already cost nothing. */
function hasRoomForNames(names: readonly string[], origins: OriginTable): boolean {
  if (names.length > REPLICATION_LIMITS.originsPerMessageMax) return false;
  if (origins.count + names.length <= ORIGINS_MAX / 2) return true;
  const isKnown = (name: string): boolean => {
    const [instance, generation] = name.split(':');
    return origins.find(Number(instance), Number(generation)) >= 0;
  };
  return origins.count + names.filter((name) => !isKnown(name)).length <= ORIGINS_MAX / 2;
}

function decodeVectorJson(value: unknown, origins: OriginTable): VersionVector | string {
  if (typeof value !== 'object' || value === null) return 'not a version vector';
  if (!hasRoomForNames(Object.keys(value), origins)) return 'too many origins';
  return parseVersionVector(value, origins) ?? 'not a version vector';
}

function decodeVector(
  payload: Uint8Array,
  at: number,
  origins: OriginTable,
): { readonly vector: VersionVector; readonly end: number } | null {
  if (at >= payload.length || !hasRoomFor(readVarint(payload, at), origins)) return null;
  return readVersionVector(payload, at, origins);
}

const decodeNames = (value: unknown): string[] | null =>
  Array.isArray(value) &&
  value.length <= CAPABILITIES_MAX &&
  value.every((name) => typeof name === 'string' && name.length <= 100)
    ? (value as string[])
    : null;

function decodeOrigins(value: unknown, origins: OriginTable): number[] | string {
  if (!Array.isArray(value)) return 'not a list of origins';
  if (!hasRoomForNames(value.map(String), origins)) return 'too many origins';
  const indexes: number[] = [];
  for (const name of value) {
    const match = typeof name === 'string' ? /^(\d{1,3}):(\d{1,10})$/.exec(name) : null;
    const instance = Number(match?.[1]);
    const generation = Number(match?.[2]);
    if (!match || !isInstance(instance) || !isGeneration(generation)) return `not an origin: ${String(name)}`;
    indexes.push(origins.indexOf(instance, generation));
  }
  return indexes;
}
