/**
 * Waiting until links that were told to sync anew have done so: each has a sync that is newer than the one before the order, and streams.
 *
 * A full sync takes what it takes, so there is no clock for the whole: it fails when nothing has moved for a while, and says with what error
 * the links stand there.
 */
import type { SyncStatus } from '../admin/contract.ts';
import { CrdbError } from '../errors.ts';
import type { ControlPlane } from './control-plane.ts';
import { POLL_MS, RESYNC_STALL_MS_MAX } from './limits.ts';
import { count } from './output.ts';
import type { LinkToSync } from './resync.ts';
import { fullSyncText } from './sync-status.ts';
import type { Waiting } from './waiting.ts';

export interface Outcome {
  readonly kind: 'partial' | 'full';
  readonly reason: string;
}

interface Follow {
  readonly control: ControlPlane;
  readonly guid: string;
  readonly name: string;
  readonly full: boolean;
  readonly waiting: Waiting;
  readonly signal: AbortSignal;
  readonly report: (detail: string) => void;
}

/** In the order of the links. Throws timed_out, or interrupted: then the links go on by themselves. */
export async function followResync(links: readonly LinkToSync[], follow: Follow): Promise<readonly Outcome[]> {
  const { waiting, signal, report } = follow;
  const done = new Map<LinkToSync, Outcome>();
  let seen = '';
  let movedMs = waiting.nowMs();
  for (;;) {
    if (signal.aborted) throw goesOn(follow);
    const states = await look(
      links.filter((link) => !done.has(link)),
      follow,
    );
    for (const { link, now } of states)
      if (now !== null && isDone(link, now, follow.full)) done.set(link, outcomeOf(now));
    if (done.size === links.length) return links.map((link) => done.get(link)!);
    const open = states.filter(({ link }) => !done.has(link));
    report([`${done.size} of ${count(links.length, 'link')} done`, ...open.flatMap(progressOf)].join('; '));
    const picture = JSON.stringify(open.map(({ now }) => now && [now.state, now.full_sync, now.last_sync, now.offset]));
    if (picture !== seen) movedMs = waiting.nowMs();
    seen = picture;
    if (waiting.nowMs() - movedMs > RESYNC_STALL_MS_MAX) throw standsStill(open, follow);
    await waiting.sleep(POLL_MS, signal).catch(() => {});
  }
}

interface LinkState {
  readonly link: LinkToSync;
  /** null: nobody tells. */
  readonly now: SyncStatus['links'][number] | null;
}

/** One question per instance that pulls. One that is silent for a moment (its process was restarted) is asked again. */
async function look(links: readonly LinkToSync[], { control, guid }: Follow): Promise<LinkState[]> {
  const clusters = new Map(links.map(({ cluster }) => [cluster.name, cluster]));
  const answers = new Map(
    await Promise.all(
      [...clusters].map(async ([name, cluster]) => {
        const status = await control
          .api(cluster)
          .syncStatus(guid)
          .catch(() => null);
        return [name, status] as const;
      }),
    ),
  );
  return links.map((link) => ({
    link,
    now: answers.get(link.cluster.name)?.links.find((one) => one.from === link.from) ?? null,
  }));
}

/** An order that comes while a full sync runs joins that one, which began before. */
function isDone({ before }: LinkToSync, now: SyncStatus['links'][number], full: boolean): boolean {
  if (now.state !== 'streaming' || now.last_sync === null) return false;
  if (full && now.last_sync.kind !== 'full') return false;
  return now.last_sync.at !== before.last_sync?.at || before.state !== 'streaming';
}

function outcomeOf({ last_sync: lastSync }: SyncStatus['links'][number]): Outcome {
  return { kind: lastSync!.kind, reason: lastSync!.reason };
}

function progressOf({ link, now }: LinkState): string[] {
  if (now?.full_sync == null) return [];
  return [`${link.instance} from ${link.from}: ${fullSyncText(now.full_sync)}`];
}

function standsStill(open: readonly LinkState[], { name }: Follow): CrdbError {
  const words = open.map(({ link, now }) => {
    const error = now?.last_error == null ? '' : ` (${now.last_error})`;
    return `instance ${link.instance} from ${link.from}: ${now === null ? 'its node does not answer' : `${now.state}${error}`}`;
  });
  const text = `Nothing has moved for ${RESYNC_STALL_MS_MAX / 1000} s; ${words.join('; ')}`;
  return new CrdbError('timed_out', text, {
    hint: `The links go on trying by themselves: crdb-cli sync status ${name}`,
  });
}

function goesOn({ name }: Follow): CrdbError {
  return new CrdbError('interrupted', 'Interrupted. The sync was ordered, and goes on by itself.', {
    hint: `crdb-cli sync status ${name} --watch`,
  });
}
