/** Every transcript, as it was recorded and once more with snapshots merged where it says `sync`. */
import { describe, expect, it } from '@jest/globals';
import { listTranscripts, readTranscript } from './files.ts';
import { describeDifferences, playTranscript } from './transcript.ts';

describe('Instances that write at the same time', () => {
  for (const path of listTranscripts()) {
    const transcript = readTranscript(path);

    it(`${path}: ${transcript.title}`, async () => {
      expect(describeDifferences(transcript, await playTranscript(transcript, { mergesSnapshots: false }))).toBe('');
    });

    it(`${path}, with full syncs in the place of batches`, async () => {
      expect(describeDifferences(transcript, await playTranscript(transcript, { mergesSnapshots: true }))).toBe('');
    });
  }
});
