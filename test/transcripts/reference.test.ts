/** The reference page and the transcripts: each proves the other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { listTranscripts, TRANSCRIPTS } from './files.ts';
import { describeDifferences, parseTranscript, playTranscript } from './transcript.ts';

const page = readFileSync(join(TRANSCRIPTS, '..', '..', 'docs', 'reference', 'conflicts.md'), 'utf8');

describe('The page on conflicts', () => {
  it('links every transcript, and none that is not there', () => {
    const linked = [...page.matchAll(/\]\(\.\.\/\.\.\/test\/transcripts\/([^)]+)\)/g)].map(([, path]) => path!);
    expect([...new Set(linked)].sort()).toEqual(listTranscripts());
  });

  const examples = [...page.matchAll(/^```\n(.*?)^```$/gms)].map(([, text]) => text!);
  it.each(examples)('shows what happens: %s', async (example) => {
    const transcript = parseTranscript('docs/reference/conflicts.md', `# An example\n${example}`);
    expect(describeDifferences(transcript, await playTranscript(transcript, { mergesSnapshots: false }))).toBe('');
  });
});
