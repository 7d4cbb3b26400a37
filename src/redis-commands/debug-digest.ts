/**
 * DEBUG DIGEST: a fingerprint of the data, of one moment, made in steps between which everybody else is served.
 *
 * What is written meanwhile spoils it, and it begins anew; a database that is never still gets an error that says so.
 */
import type { DigestWalk } from '../database/digest.ts';
import { DIGEST_ATTEMPTS_MAX, DIGEST_RECORDS_PER_STEP } from './limits.ts';
import type { Call } from './spec.ts';

export function debugDigest(call: Call): void {
  const { database, reply, session } = call;
  if (session.isExecuting) {
    // Nothing can come between the commands of a transaction.
    reply.simple(database.digest());
    return;
  }
  waitForDigest(call);
}

function waitForDigest({ database, server, session }: Call): void {
  let walk: DigestWalk | null = null;
  let attempts = 0;
  let vector = database.vector.clone();
  let timer = server.after(0, step);
  session.block((how) => {
    timer.cancel();
    if (how === 'gone') return;
    session.unblock((out) => {
      if (how === 'error') out.error('UNBLOCKED client unblocked via CLIENT UNBLOCK');
      else out.nil();
    });
  });
  function step(): void {
    if (walk !== null && !vector.covers(database.vector)) walk = null;
    if (walk === null && database.isSettled) {
      if (attempts++ === DIGEST_ATTEMPTS_MAX) {
        session.unblock((out) =>
          out.error(
            'ERR the data has changed each time before its digest was complete. Try again when nothing is written',
          ),
        );
        return;
      }
      walk = database.beginDigest();
      vector = database.vector.clone();
    }
    const digest = walk?.step(DIGEST_RECORDS_PER_STEP) ?? null;
    if (digest === null) timer = server.after(0, step);
    else session.unblock((out) => out.simple(digest));
  }
}
