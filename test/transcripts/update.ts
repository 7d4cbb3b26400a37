/** `npm run transcripts:update`: records the replies anew, so that what changed can be reviewed as a diff. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listTranscripts, readTranscript, TRANSCRIPTS } from './files.ts';
import { describeDifferences, playTranscript, rewriteTranscript } from './transcript.ts';

for (const path of listTranscripts()) {
  try {
    const transcript = readTranscript(path);
    const shown = await playTranscript(transcript, { mergesSnapshots: false });
    const differences = describeDifferences(transcript, shown);
    if (differences === '') continue;
    writeFileSync(join(TRANSCRIPTS, path), rewriteTranscript(transcript, shown));
    process.stdout.write(differences);
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${(error as Error).message}\n`);
  }
}
