/**
 * A file of bytes in checked chunks: what snapshots and spools are stored in.
 *
 *   "CRDBCHNK"  u16 version  u64 log position  u32 crc
 *   chunks:     u32 length (> 0)  bytes  u32 crc
 *   trailer:    u32 0  u64 total of the chunks' bytes  u32 crc
 *
 * Every crc continues the one before it, so a flipped bit, a chunk that was lost, doubled or moved, and a missing end are all found. A
 * file is written under a temporary name and renamed when it is complete and on disk.
 *
 * The writer cuts whatever it is given into chunks of its own size: no value, however large, makes a file that cannot be read. (Once
 * the size of a chunk was checked by the reader alone, and a snapshot with one large value ended the instance's life.)
 */
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { CrdbError } from '../errors.ts';
import { readU32, writeU32 } from '../crdt/frame.ts';
import type { Disk, DiskFile } from '../host/host.ts';
import { TEMPORARY_SUFFIX } from './file-names.ts';
import { STORAGE_LIMITS } from './limits.ts';

const MAGIC = Buffer.from('CRDBCHNK');
/** Of the chunks and of the snapshot in them, whose own header says the same: no other reader can make sense of either. */
const VERSION = 2;
const HEADER_BYTES = 22;
const TRAILER_BYTES = 16;
/** A larger length is damage: no release has written larger chunks that could be read. */
const READABLE_CHUNK_BYTES_MAX = 16 * 1024 * 1024;

export class ChunkFileWriter {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  /** One chunk as it will stand in the file: one write for all of it. */
  readonly #chunk: Buffer;
  readonly #chunkBytesMax: number;
  #crc = 0;
  #offset = 0;
  #total = 0;

  /** `path` is the final name. */
  static async create(
    disk: Disk,
    path: string,
    logPosition: number,
    chunkBytesMax = STORAGE_LIMITS.chunkBytesMax,
  ): Promise<ChunkFileWriter> {
    assert(chunkBytesMax > 0 && chunkBytesMax <= READABLE_CHUNK_BYTES_MAX, 'chunks that are written can be read');
    const file = await disk.open(path + TEMPORARY_SUFFIX, 'create');
    const writer = new ChunkFileWriter({ disk, path, file, chunkBytesMax });
    const header = Buffer.alloc(HEADER_BYTES);
    MAGIC.copy(header);
    header.writeUInt16LE(VERSION, 8);
    header.writeBigUInt64LE(BigInt(logPosition), 10);
    try {
      await file.truncate(0);
      await writer.#write(header);
    } catch (error) {
      await writer.abort().catch(() => {});
      throw error;
    }
    return writer;
  }

  private constructor(options: {
    readonly disk: Disk;
    readonly path: string;
    readonly file: DiskFile;
    readonly chunkBytesMax: number;
  }) {
    this.#disk = options.disk;
    this.#path = options.path;
    this.#file = options.file;
    this.#chunkBytesMax = options.chunkBytesMax;
    this.#chunk = Buffer.allocUnsafe(options.chunkBytesMax + 8);
  }

  /** Bytes of the file so far. */
  get fileBytes(): number {
    return this.#offset;
  }

  /** Writes the bytes, any number of them, as one chunk or several. One call at a time; they must not change until it resolves. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += this.#chunkBytesMax) {
      const part = bytes.subarray(at, at + this.#chunkBytesMax);
      writeU32(this.#chunk, 0, part.length);
      this.#chunk.set(part, 4);
      this.#total += part.length;
      await this.#write(this.#chunk.subarray(0, part.length + 8));
    }
  }

  /** Completes the file and gives it its name, durably. */
  async finish(): Promise<void> {
    const trailer = Buffer.alloc(TRAILER_BYTES);
    trailer.writeBigUInt64LE(BigInt(this.#total), 4);
    await this.#write(trailer);
    await this.#file.sync();
    await this.#file.close();
    await this.#disk.rename(this.#path + TEMPORARY_SUFFIX, this.#path);
  }

  /** Gives up: closes and removes the temporary file. */
  async abort(): Promise<void> {
    await this.#file.close();
    await this.#disk.remove(this.#path + TEMPORARY_SUFFIX);
  }

  /** Writes what ends with room for its crc. */
  async #write(bytes: Buffer): Promise<void> {
    const end = bytes.length - 4;
    this.#crc = crc32(bytes.subarray(0, end), this.#crc);
    writeU32(bytes, end, this.#crc);
    await this.#file.write(bytes, this.#offset);
    this.#offset += bytes.length;
  }
}

export class ChunkFileReader {
  readonly #path: string;
  readonly #file: DiskFile;
  #crc = 0;
  #offset = 0;
  #total = 0;
  #logPosition = 0;

  /** Throws a CrdbError when the file is absent, of another kind or damaged. */
  static async open(disk: Disk, path: string): Promise<ChunkFileReader> {
    let file: DiskFile;
    try {
      file = await disk.open(path, 'read');
    } catch (error) {
      throw unusable(path, `it cannot be opened: ${(error as Error).message}`);
    }
    const reader = new ChunkFileReader(path, file);
    try {
      const header = await reader.#read(HEADER_BYTES);
      if (header === null || header.compare(MAGIC, 0, 8, 0, 8) !== 0) throw unusable(path, 'it has no header');
      reader.#check(header);
      const version = header.readUInt16LE(8);
      if (version !== VERSION)
        throw unusable(path, `it has format version ${version}, this release reads version ${VERSION}`);
      reader.#logPosition = Number(header.readBigUInt64LE(10));
    } catch (error) {
      await file.close();
      throw error;
    }
    return reader;
  }

  private constructor(path: string, file: DiskFile) {
    this.#path = path;
    this.#file = file;
  }

  get logPosition(): number {
    return this.#logPosition;
  }

  /** Bytes of the file read so far. */
  get readBytes(): number {
    return this.#offset;
  }

  /** The next chunk; null when the file was read to its end and everything was right. Throws a CrdbError where it is damaged. */
  async next(): Promise<Buffer | null> {
    const lengthBytes = await this.#read(4);
    if (lengthBytes === null) throw this.#damaged('it ends before its trailer');
    const length = readU32(lengthBytes, 0);
    if (length > READABLE_CHUNK_BYTES_MAX) throw this.#damaged(`a chunk of ${length} bytes is announced`);
    const rest = await this.#read(length === 0 ? TRAILER_BYTES - 4 : length + 4);
    if (rest === null) throw this.#damaged('it ends within a chunk');
    this.#crc = crc32(lengthBytes, this.#crc);
    this.#check(rest);
    if (length > 0) {
      this.#total += length;
      return rest.subarray(0, length);
    }
    if (Number(rest.readBigUInt64LE(0)) !== this.#total) throw this.#damaged('its total is wrong');
    if ((await this.#file.size()) !== this.#offset) throw this.#damaged('something follows its trailer');
    return null;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(count: number): Promise<Buffer | null> {
    const bytes = Buffer.allocUnsafe(count);
    if ((await this.#file.read(bytes, this.#offset)) < count) return null;
    this.#offset += count;
    return bytes;
  }

  /** Checks the crc in the last four bytes. */
  #check(bytes: Buffer): void {
    this.#crc = crc32(bytes.subarray(0, bytes.length - 4), this.#crc);
    if (this.#crc !== readU32(bytes, bytes.length - 4)) throw this.#damaged('a checksum is wrong');
  }

  #damaged(reason: string): CrdbError {
    return unusable(this.#path, `${reason} (before byte ${this.#offset})`);
  }
}

/** For what a snapshot or spool file turns out to be. */
export const unusable = (path: string, reason: string): CrdbError =>
  new CrdbError('instance_failed', `${path} is damaged: ${reason}.`, {
    hint: 'Restore the data directory from a backup, or move it away: the instance then starts empty and is filled by a full sync.',
  });
