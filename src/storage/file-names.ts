/** Names of the files in an instance's data directory: one pattern per kind, positions in 16 digits so that names sort by position. */

export const MANIFEST_NAME = 'manifest.json';
/** A file under construction: worthless after a restart. */
export const TEMPORARY_SUFFIX = '.tmp';

const digits = (position: number): string => String(position).padStart(16, '0');

export const segmentName = (position: number): string => `log-${digits(position)}`;
export const snapshotName = (position: number): string => `snapshot-${digits(position)}`;
/** A snapshot that is kept only as long as peers read it: worthless after a restart. */
export const feedSnapshotName = (position: number): string => `feed-${digits(position)}`;
/** A full sync from instance `from` that began when the log stood at `position`, the `number`th of this run. */
export const spoolName = (position: number, from: number, number: number): string =>
  `merge-${digits(position)}-${from}-${number}`;
/** Where a repair puts what it cuts. */
export const droppedName = (name: string, position: number): string => `dropped-${name}-at-${position}`;

const positionOf = (name: string, pattern: RegExp): number | null => {
  const match = pattern.exec(name);
  return match ? Number(match[1]) : null;
};

/** The position in the name; null when it names something else. */
export const segmentPosition = (name: string): number | null => positionOf(name, /^log-(\d{16})$/);
export const snapshotPosition = (name: string): number | null => positionOf(name, /^snapshot-(\d{16})$/);
export const feedSnapshotPosition = (name: string): number | null => positionOf(name, /^feed-(\d{16})$/);
/** Earlier releases gave them no number. */
export const spoolPosition = (name: string): number | null => positionOf(name, /^merge-(\d{16})-\d+(-\d+)?$/);

/** What a run leaves behind that was never finished, or was for its own time only. */
export const isWorthless = (name: string): boolean =>
  /^(log|snapshot|merge|manifest|feed).*\.tmp$/.test(name) || /^feed-\d{16}$/.test(name);
