/** The runner itself: what it must not let pass. */
import { describe, expect, it } from '@jest/globals';
import { describeDifferences, parseTranscript, playTranscript, rewriteTranscript } from './transcript.ts';

async function play(text: string): Promise<string> {
  const transcript = parseTranscript('a.txt', text);
  return describeDifferences(transcript, await playTranscript(transcript, { mergesSnapshots: false }));
}

describe('A transcript', () => {
  it('whose replies differ fails with file and line', async () => {
    expect(await play('# title\n1> SET k v\nOK\nsync\nall> GET k\n"w"\n')).toBe(
      'a.txt:5: all> GET k\n  - "w"\n  + "v"\n',
    );
    expect(await play('# title\n1> SET k v\nOK\nsync\nall> GET k\n"v"\n')).toBe('');
  });

  it('can be rewritten with the replies that came, and nothing else changes', async () => {
    const text = '# title\n\n1> GET k\n"w"\n"x"\n# comment\nsync 1->2\n2> MGET k l\n';
    const transcript = parseTranscript('a.txt', text);
    const shown = await playTranscript(transcript, { mergesSnapshots: false });
    expect(rewriteTranscript(transcript, shown)).toBe(
      '# title\n\n1> GET k\n(nil)\n# comment\nsync 1->2\n2> MGET k l\n1) (nil)\n2) (nil)\n',
    );
  });

  it('fails where instances reply differently, even when it is to be rewritten', async () => {
    await expect(play('# title\n1> SET k v\nOK\nall> GET k\n')).rejects.toThrow(
      'a.txt:4: all> GET k\nthe instances differ:\n  1: "v"\n  2: (nil)',
    );
  });

  it('fails where instances do not hold the same after a sync', async () => {
    // An hour ahead, instance 2 takes for expired what instance 1 still shows.
    await expect(play('# title\nclock 2 +1h\n1> SET k v EX 60\nOK\nsync\n')).rejects.toThrow(
      'a.txt:5: sync\nthe instances do not hold the same after a full sync',
    );
  });

  it('shows every message that came', async () => {
    const subscribed =
      '# title\n1> SUBSCRIBE c\n1) "subscribe"\n2) "c"\n3) (integer) 1\n2> PUBLISH c hi\n(integer) 0\n';
    await expect(play(subscribed)).rejects.toThrow('a.txt: at its end: messages have come that are not shown: 1<');
    expect(await play(`${subscribed}1<\n1) "message"\n2) "c"\n3) "hi"\n`)).toBe('');
  });

  it('is refused with the line that means nothing', () => {
    expect(() => parseTranscript('a.txt', '# title\nsync\nOK\n')).toThrow('a.txt:3: neither a directive');
    expect(() => parseTranscript('a.txt', '1> GET k\n')).toThrow('a.txt:1: a transcript begins with a comment');
  });

  it('names the line that asks for an instance that is not there', async () => {
    await expect(play('# title\n3> PING\n')).rejects.toThrow('a.txt:2: 3> PING\nthere is no instance 3');
  });
});
