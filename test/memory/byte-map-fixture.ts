import { Arena, SEGMENT_MASK, SEGMENT_SHIFT } from '../../src/memory/arena.ts';
import { ByteMap, MAP_BYTES } from '../../src/memory/byte-map.ts';

export const KEY_OFFSET = 16;

export class Fixture {
  readonly arena: Arena;
  readonly maps: ByteMap;
  map: number;

  constructor(arena = new Arena({ segmentBytes: 1 << 20 })) {
    this.arena = arena;
    this.maps = new ByteMap(arena, { keyOffset: KEY_OFFSET, seed: [42, 43] });
    this.map = arena.allocate(MAP_BYTES);
    this.maps.create(this.map);
  }

  find(key: string): number {
    const bytes = Buffer.from(key);
    return this.maps.find(this.map, this.maps.hash(bytes, 0, bytes.length), bytes, 0, bytes.length);
  }

  add(key: string): number {
    const bytes = Buffer.from(key);
    const entry = this.arena.allocate(KEY_OFFSET + bytes.length);
    const words = this.arena.words[entry >>> SEGMENT_SHIFT]!;
    const at = (entry & SEGMENT_MASK) << 1;
    words[at + 1] = this.maps.hash(bytes, 0, bytes.length);
    words[at + 2] = bytes.length;
    bytes.copy(this.arena.bytes[entry >>> SEGMENT_SHIFT]!, ((entry & SEGMENT_MASK) << 3) + KEY_OFFSET);
    this.maps.add(this.map, entry);
    return entry;
  }

  remove(entry: number): void {
    this.maps.remove(this.map, entry);
    this.arena.free(entry);
  }

  /** What the map's block says: count, table, its log, the new table, its log (byte-map.ts, MAP). */
  get block(): {
    readonly count: number;
    readonly tables: readonly { readonly table: number; readonly log: number }[];
  } {
    const words = this.arena.words[this.map >>> SEGMENT_SHIFT]!;
    const at = (this.map & SEGMENT_MASK) << 1;
    const [count, table, log, newTable, newLog] = words.subarray(at, at + 5);
    const tables = [
      { table: table!, log: log! },
      { table: newTable!, log: newLog! },
    ];
    return { count: count!, tables: tables.filter((one) => one.table !== 0) };
  }

  get buckets(): number {
    return this.block.tables.reduce((sum, { log }) => sum + 2 ** log, 0);
  }

  word(address: number, index: number): number {
    return this.arena.words[address >>> SEGMENT_SHIFT]![((address & SEGMENT_MASK) << 1) + index]!;
  }

  /** The lengths of all chains that are not empty. Fails where an entry is in the wrong bucket. */
  chains(): number[] {
    const lengths: number[] = [];
    for (const { table, log } of this.block.tables) {
      for (let bucket = 0; bucket < 2 ** log; bucket++) {
        let length = 0;
        for (let entry = this.word(table, bucket); entry !== 0; entry = this.word(entry, 0)) {
          length++;
          if ((this.word(entry, 1) & (2 ** log - 1)) !== bucket)
            throw new Error(`an entry is in bucket ${bucket} of 2^${log}`);
        }
        if (length > 0) lengths.push(length);
      }
    }
    return lengths;
  }

  key(entry: number): string {
    const bytes = this.arena.bytes[entry >>> SEGMENT_SHIFT]!;
    const length = this.arena.words[entry >>> SEGMENT_SHIFT]![((entry & SEGMENT_MASK) << 1) + 2]!;
    const at = ((entry & SEGMENT_MASK) << 3) + KEY_OFFSET;
    return bytes.toString('utf8', at, at + length);
  }
}
