/** The transcripts of this folder. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTranscript, type Transcript } from './transcript.ts';

export const TRANSCRIPTS = import.meta.dirname;
const FROM_ROOT = 'test/transcripts';

/** Paths below this folder, sorted. */
export function listTranscripts(): string[] {
  return readdirSync(TRANSCRIPTS, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.txt'))
    .sort();
}

export function readTranscript(path: string): Transcript {
  return parseTranscript(`${FROM_ROOT}/${path}`, readFileSync(join(TRANSCRIPTS, path), 'utf8'));
}
