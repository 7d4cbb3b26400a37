/**
 * `crdb-cli sync status --watch`: one look after the other, also while nobody can be asked, because a restart of the nodes is what an
 * operator watches. Only the first look has to succeed. It ends when the database is gone, and it knows that from a node of the database
 * that answers and does not have it; a silent one may have it still.
 */
import type { Clock } from '../host/host.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane } from './control-plane.ts';
import { errorDocument, type ErrorDocument } from './describe-error.ts';
import { durationText } from './output.ts';
import { surveyNodes } from './survey.ts';
import { syncStatus, syncStatusText, type SyncStatusDocument, type SyncStatusLook } from './sync-status.ts';

/** What is shown while no node of the database answers. */
export interface SilenceDocument extends ErrorDocument {
  readonly guid: string;
  readonly name: string;
  /** ISO 8601, UTC: when nobody answered for the first time. */
  readonly silent_since: string;
  readonly silent_ms: number;
}

export type WatchedDocument = SyncStatusDocument | SilenceDocument;

/** Each call is one look. Throws what the first one fails with, and database_not_found when the database is gone. */
export function watchSyncStatus(
  control: ControlPlane,
  nameOrGuid: string,
  clock: Pick<Clock, 'nowMs'>,
): () => Promise<WatchedDocument> {
  let last: SyncStatusDocument | null = null;
  let silentSinceMs: number | null = null;
  return async () => {
    try {
      last = await syncStatus(control, last?.guid ?? nameOrGuid);
      silentSinceMs = null;
      return last;
    } catch (error) {
      if (last === null) throw error;
      const silence = await explainSilence(control, last, error);
      const nowMs = clock.nowMs();
      silentSinceMs ??= nowMs;
      const since = new Date(silentSinceMs).toISOString();
      const { guid, name } = last;
      return { ...{ guid, name, silent_since: since, silent_ms: nowMs - silentSinceMs }, ...errorDocument(silence) };
    }
  };
}

/** The reason to go on without an answer; throws when there is none. */
async function explainSilence(control: ControlPlane, last: SyncStatusDocument, error: unknown): Promise<CrdbError> {
  if (!(error instanceof CrdbError)) throw error;
  if (error.code === 'node_unreachable') return error;
  if (error.code !== 'database_not_found') throw error;
  const { nodes, unreachable } = await surveyNodes(control);
  const silent = new Set(unreachable.map(({ cluster }) => cluster));
  const answering = new Set(nodes.map(({ cluster }) => cluster.name).filter((name) => !silent.has(name)));
  if (!last.instances.some(({ cluster }) => answering.has(cluster))) return error;
  throw new CrdbError('database_not_found', `${last.name} (${last.guid}) has been deleted`);
}

export function watchedText(document: WatchedDocument, look: SyncStatusLook): string {
  if (!('silent_since' in document)) return syncStatusText(document, look);
  const { guid, name, silent_since: since, silent_ms: silentMs, error } = document;
  const { style } = look;
  return [
    `${style.heading(name)} (${guid})`,
    '',
    `${style.bad('nobody answers')} since ${since}, for ${durationText(silentMs)}; still asking`,
    error.message,
    ...(error.hint === '' ? [] : [`Try: ${error.hint}`]),
  ].join('\n');
}
