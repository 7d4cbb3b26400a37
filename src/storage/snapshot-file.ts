/**
 * Writes a snapshot of the database to its file, in slices between other work, and reads such files.
 *
 * A turn of the event loop encodes at most one slice and about a millisecond of it; then the slice is written, and the encoder waits
 * for that write: the disk sets the pace, memory holds one slice. The state is exactly that of the moment when the reader was made,
 * because the database keeps pre-images (docs/internals/storage.md).
 *
 * Invariant: only the reader says that it is at its end. A slice that a pause of the process has left short, or empty, is no end: the file
 * gets its name only after the reader's null.
 */
import type { Clock, Disk } from '../host/host.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { ChunkFileReader, ChunkFileWriter } from './chunk-file.ts';
import { storageLimits, type StorageLimits } from './limits.ts';

/** The part of the database's snapshot reader that is needed here. */
export interface SnapshotReaderPort {
  readonly vector: VersionVector;
  /** A guess of the stream's size, for progress. */
  readonly bytesEstimate?: number;
  /** At most `bytesMax` more bytes, never none; null: complete. */
  next(bytesMax: number): Uint8Array | null;
  abort(): void;
}

export interface SnapshotFileOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly path: string;
  /** Of the log, at the moment of the snapshot. */
  readonly position: number;
  readonly limits?: Partial<StorageLimits>;
  /** Looked at between slices: once it is true the file is given up with SnapshotAbandoned. */
  readonly isAbandoned?: () => boolean;
  /** After each slice, bytes of the file so far. */
  readonly onWritten?: (bytes: number) => void;
}

/** Nobody wants this snapshot any more: no failure. */
export class SnapshotAbandoned extends Error {
  constructor() {
    super('the snapshot was given up for another one');
  }
}

/** Resolves with the size of the finished, durable file. On an error the reader is aborted and no file is left. */
export async function writeSnapshotFile(options: SnapshotFileOptions, reader: SnapshotReaderPort): Promise<number> {
  const { disk, clock, path, position, isAbandoned, onWritten } = options;
  const limits = storageLimits(options.limits);
  let writer: ChunkFileWriter | null = null;
  try {
    writer = await ChunkFileWriter.create(disk, path, position, limits.chunkBytesMax);
    for (let isComplete = false; !isComplete;) {
      const slice: Uint8Array[] = [];
      isComplete = readSlice(reader, slice, clock, limits);
      if (slice.length > 0) await writer.append(slice.length === 1 ? slice[0]! : Buffer.concat(slice));
      onWritten?.(writer.fileBytes);
      await new Promise<void>((resolve) => clock.soon(resolve));
      if (isAbandoned?.()) throw new SnapshotAbandoned();
    }
    await writer.finish();
    return writer.fileBytes;
  } catch (error) {
    reader.abort();
    await writer?.abort().catch(() => {});
    throw error;
  }
}

/** Adds at least one piece to the slice, unless the reader is at its end; true when it is. */
function readSlice(reader: SnapshotReaderPort, slice: Uint8Array[], clock: Clock, limits: StorageLimits): boolean {
  const startMs = clock.monotonicMs();
  let bytes = 0;
  do {
    const piece = reader.next(Math.min(limits.snapshotPieceBytes, limits.snapshotSliceBytes - bytes));
    if (piece === null) return true;
    slice.push(piece);
    bytes += piece.length;
  } while (bytes < limits.snapshotSliceBytes && clock.monotonicMs() - startMs < limits.snapshotTurnMs);
  return false;
}

/**
 * Reads a snapshot or spool file to its end, one chunk ahead of `onChunk`, which is awaited and told how many bytes of the file are done
 * with it. Throws a CrdbError when the file is damaged; `onChunk` may then have had a part.
 */
export async function readSnapshotFile(
  disk: Disk,
  path: string,
  onChunk: (bytes: Buffer, fileBytes: number) => Promise<void> | void,
): Promise<void> {
  const reader = await ChunkFileReader.open(disk, path);
  let ahead = readAhead(reader);
  try {
    for (let readBytes = 0, bytes = await ahead; bytes !== null; bytes = await ahead) {
      const fileBytes = reader.readBytes - readBytes;
      readBytes += fileBytes;
      ahead = readAhead(reader);
      await onChunk(bytes, fileBytes);
    }
  } finally {
    await ahead.catch(() => {});
    await reader.close();
  }
}

/** Its failure is met when it is awaited; until then it must not count as unhandled. */
function readAhead(reader: ChunkFileReader): Promise<Buffer | null> {
  const ahead = reader.next();
  ahead.catch(() => {});
  return ahead;
}
