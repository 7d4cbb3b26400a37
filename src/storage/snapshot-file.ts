/**
 * Writes a snapshot of the database to its file, in slices between other work.
 *
 * A turn of the event loop encodes at most one slice and at most about a millisecond; then the slice is written, and the encoder waits
 * for that write: the disk sets the pace, memory holds one slice. The state is exactly that of the moment when the reader was made,
 * because the database keeps pre-images (docs/internals/storage.md).
 */
import type { Clock, Disk } from '../host/host.ts';
import type { VersionVector } from '../crdt/version-vector.ts';
import { ChunkFileReader, ChunkFileWriter } from './chunk-file.ts';
import { SNAPSHOT_PIECE_BYTES, SNAPSHOT_SLICE_BYTES, SNAPSHOT_TURN_MS } from './limits.ts';

/** The part of the database's snapshot reader that is needed here. */
export interface SnapshotReaderPort {
  readonly vector: VersionVector;
  /** At most `bytesMax` more bytes, never none; null: complete. */
  next(bytesMax: number): Uint8Array | null;
  abort(): void;
}

/** Resolves with the size of the finished, durable file. On an error the reader is aborted and no file is left. */
export async function writeSnapshotFile(
  options: { readonly disk: Disk; readonly clock: Clock; readonly path: string; readonly position: number },
  reader: SnapshotReaderPort,
): Promise<number> {
  const { disk, clock, path, position } = options;
  let writer: ChunkFileWriter | null = null;
  try {
    writer = await ChunkFileWriter.create(disk, path, position);
    for (let slice = nextSlice(reader, clock); slice !== null; slice = nextSlice(reader, clock)) {
      await writer.append(slice);
      await new Promise<void>((resolve) => clock.soon(resolve));
    }
    await writer.finish();
    return writer.fileBytes;
  } catch (error) {
    reader.abort();
    await writer?.abort().catch(() => {});
    throw error;
  }
}

function nextSlice(reader: SnapshotReaderPort, clock: Clock): Uint8Array | null {
  const startMs = clock.monotonicMs();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < SNAPSHOT_SLICE_BYTES && clock.monotonicMs() - startMs < SNAPSHOT_TURN_MS) {
    const piece = reader.next(SNAPSHOT_PIECE_BYTES);
    if (piece === null) break;
    pieces.push(piece);
    bytes += piece.length;
  }
  if (pieces.length === 0) return null;
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes);
}

/** Reads a snapshot or spool file to its end, one chunk per turn. Throws a CrdbError when it is damaged; `onBytes` may then have had a part. */
export async function readSnapshotFile(disk: Disk, path: string, onBytes: (bytes: Uint8Array) => void): Promise<void> {
  const reader = await ChunkFileReader.open(disk, path);
  try {
    for (let bytes = await reader.next(); bytes !== null; bytes = await reader.next()) onBytes(bytes);
  } finally {
    await reader.close();
  }
}
