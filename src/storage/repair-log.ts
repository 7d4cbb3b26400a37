/**
 * What a repair of a damaged log would drop, and doing it. Nothing is destroyed: what is cut goes to files named `dropped-...` beside it.
 *
 * After a repair the instance begins a new generation, and what it had published of the dropped part comes back from its peers.
 */
import { FRAME } from '../crdt/frame.ts';
import { OriginTable } from '../crdt/version-vector.ts';
import { CrdbError } from '../errors.ts';
import type { Disk } from '../host/host.ts';
import { droppedName, segmentName, segmentPosition } from './file-names.ts';
import { framesOf } from './log-frames.ts';
import { ManifestStore, NO_PROMISE, readManifest, type Manifest } from './manifest.ts';
import { STORAGE_LIMITS } from './limits.ts';
import { SegmentReader } from './segment-reader.ts';

export interface RepairPlan {
  /** Position from which on the log is unusable. */
  readonly position: number;
  readonly reason: string;
  /** The file that is cut at `offset`; null when the break is between files. */
  readonly cut: { readonly file: string; readonly offset: number; readonly bytes: number } | null;
  /** Files that are dropped as a whole. */
  readonly dropped: readonly { readonly file: string; readonly bytes: number }[];
  readonly droppedBytes: number;
  /** Batches in the part that is kept, after the snapshot. */
  readonly keptBatches: number;
}

/** null: the log needs no repair. (A torn tail needs none either: the next start cuts it.) */
export async function planRepair(disk: Disk, directory: string): Promise<RepairPlan | null> {
  const manifest = await requireManifest(disk, directory);
  const from = manifest.snapshot?.position ?? 0;
  const positions = (await disk.list(directory))
    .flatMap((name) => segmentPosition(name) ?? [])
    .filter((position) => position >= from);
  if (positions.length === 0 && !manifest.logged) return null;
  let end = from;
  let keptBatches = 0;
  for (const [index, position] of positions.entries()) {
    const file = segmentName(position);
    if (position !== end)
      return makePlan(disk, directory, {
        position: end,
        reason: `${segmentName(end)} is missing`,
        rest: positions.slice(index),
        keptBatches,
      });
    const isNewest = index === positions.length - 1;
    const found = await checkSegment(disk, { path: `${directory}/${file}`, position, isNewest });
    keptBatches += found.batches;
    if (found.damage !== null) {
      const cut = { file, offset: found.goodEnd, bytes: found.sizeBytes - found.goodEnd };
      const rest = positions.slice(index + 1);
      return makePlan(disk, directory, {
        position: position + found.goodEnd,
        reason: found.damage,
        cut,
        rest,
        keptBatches,
      });
    }
    end = position + found.goodEnd;
  }
  if (positions.length > 0) return null;
  return makePlan(disk, directory, {
    position: from,
    reason: `${segmentName(from)} is missing`,
    rest: [],
    keptBatches,
  });
}

interface CheckedSegment {
  readonly batches: number;
  readonly goodEnd: number;
  readonly sizeBytes: number;
  readonly damage: string | null;
}

async function checkSegment(
  disk: Disk,
  segment: { readonly path: string; readonly position: number; readonly isNewest: boolean },
): Promise<CheckedSegment> {
  const origins = new OriginTable();
  const reader = await SegmentReader.open({
    ...segment,
    disk,
    origins,
    readBytes: STORAGE_LIMITS.recoveryReadBytes,
  });
  try {
    let batches = 0;
    for (let group = await reader.next(); group !== null; group = await reader.next()) {
      const { bytes, start, end } = group;
      for (const frame of framesOf(bytes, start, end)) if (frame.kind === FRAME.batch) batches++;
    }
    const { goodEnd, sizeBytes, problem } = reader;
    return { batches, goodEnd, sizeBytes, damage: problem?.kind === 'damaged' ? problem.reason : null };
  } finally {
    await reader.close();
  }
}

async function makePlan(
  disk: Disk,
  directory: string,
  damage: {
    readonly position: number;
    readonly reason: string;
    readonly cut?: RepairPlan['cut'];
    readonly rest: readonly number[];
    readonly keptBatches: number;
  },
): Promise<RepairPlan> {
  const dropped = [];
  for (const position of damage.rest) {
    const file = segmentName(position);
    dropped.push({ file, bytes: (await readAll(disk, `${directory}/${file}`)).length });
  }
  // A file whose header is damaged has nothing to keep.
  const wholeFile = damage.cut?.offset === 0 ? damage.cut : null;
  if (wholeFile) dropped.unshift({ file: wholeFile.file, bytes: wholeFile.bytes });
  const cut = wholeFile ? null : (damage.cut ?? null);
  const droppedBytes = dropped.reduce((sum, { bytes }) => sum + bytes, cut?.bytes ?? 0);
  return {
    position: damage.position,
    reason: damage.reason,
    cut,
    dropped,
    droppedBytes,
    keptBatches: damage.keptBatches,
  };
}

/** Carries the plan out. Repeating it after a crash is harmless. */
export async function applyRepair(disk: Disk, directory: string, plan: RepairPlan): Promise<void> {
  const manifest = await requireManifest(disk, directory);
  // First of all: what is left of the log must not be taken for everything that was published.
  await new ManifestStore(disk, directory, manifest).update({ logged: false, ...NO_PROMISE });
  // From the newest to the oldest, so that an interrupted repair leaves the same damage, only smaller.
  for (const { file } of [...plan.dropped].reverse()) {
    await disk.rename(`${directory}/${file}`, `${directory}/${droppedName(file, plan.position)}`);
  }
  if (plan.cut === null) return;
  const path = `${directory}/${plan.cut.file}`;
  const bytes = await readAll(disk, path);
  await disk.replaceFile(`${directory}/${droppedName(plan.cut.file, plan.position)}`, bytes.subarray(plan.cut.offset));
  const file = await disk.open(path, 'create');
  await file.truncate(plan.cut.offset);
  await file.sync();
  await file.close();
}

async function requireManifest(disk: Disk, directory: string): Promise<Manifest> {
  const manifest = await readManifest(disk, directory);
  if (manifest !== null) return manifest;
  throw new CrdbError(
    'invalid_request',
    `${directory} has no manifest.json: it is not the data directory of an instance.`,
    {
      hint: 'Name the directory that the error message named.',
    },
  );
}

async function readAll(disk: Disk, path: string): Promise<Buffer> {
  const bytes = await disk.readFile(path);
  return bytes === null ? Buffer.alloc(0) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
