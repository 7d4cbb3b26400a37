/**
 * Transcripts: what clients of several instances typed, when the instances heard of each other, and what each reply was. They are tests, and the
 * examples of docs/reference/conflicts.md.
 *
 *   # ...              a comment; the first one says what the transcript shows
 *   instances 3        how many there are; two if it is not said
 *   1> SET k v         a command at instance 1 and, below it, its reply as redis-cli prints it; `1b>` is a second client there
 *   all> GET k         the same at every instance; all must reply the same
 *   1b<                the messages that this client has received, below it
 *   sync               all instances hear of everything; afterwards they must hold the same
 *   sync 1->2          instance 2 hears what instance 1 itself did; what depends on something it has not heard of waits
 *   merge 1->2         instance 2 merges a snapshot of all that instance 1 holds (a full sync)
 *   advance 5s         time passes, everywhere; a command takes one millisecond
 *   clock 2 -1h        the clock of instance 2 is set back, or forward with +
 *   memory 1 1kb       the memory limit of instance 1; 0kb: none
 *
 * A transcript ends with a sync. Replies without an order are printed in order (print-reply.ts). `npm run transcripts:update` records them anew.
 */
import { Instances } from './instances.ts';

interface Entry {
  /** Counts from 1. */
  readonly line: number;
  readonly text: string;
  /** Recorded below it. */
  readonly replies: readonly string[];
}

export interface Transcript {
  readonly file: string;
  /** The first comment. */
  readonly title: string;
  readonly instances: number;
  readonly entries: readonly Entry[];
}

type Action = (instances: Instances, match: RegExpExecArray) => Promise<string[]> | void;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DURATION = '(\\d+)(ms|s|m|h)';
const INSTANCES = /^instances ([2-5])$/;
const COMMENT = /^(#.*)?$/;

const ACTIONS: readonly (readonly [pattern: RegExp, action: Action])[] = [
  [COMMENT, () => {}],
  [INSTANCES, () => {}],
  [/^(all|[1-5][a-z]?)> (.+)$/, (instances, [, prompt, command]) => instances.run(prompt!, command!)],
  [/^([1-5][a-z]?)<$/, (instances, [, prompt]) => instances.readMessages(prompt!)],
  [/^sync$/, (instances) => instances.sync()],
  [/^sync ([1-5])->([1-5])$/, (instances, [, from, to]) => instances.pull(Number(from), Number(to))],
  [/^merge ([1-5])->([1-5])$/, (instances, [, from, to]) => instances.merge(Number(from), Number(to))],
  [new RegExp(`^advance ${DURATION}$`), (instances, [, n, unit]) => advance(instances, Number(n) * UNIT_MS[unit!]!)],
  [
    new RegExp(`^clock ([1-5]) ([+-])${DURATION}$`),
    (instances, [, id, sign, n, unit]) => instances.jumpClock(Number(id), Number(`${sign}${n}`) * UNIT_MS[unit!]!),
  ],
  [/^memory ([1-5]) (\d+)kb$/, (instances, [, id, n]) => instances.limitMemory(Number(id), Number(n) * 1024)],
];

async function advance(instances: Instances, ms: number): Promise<string[]> {
  await instances.advance(ms);
  return [];
}

const isDirective = (text: string): boolean => ACTIONS.some(([pattern]) => pattern.test(text));

/** Throws an error that names the line. */
export function parseTranscript(file: string, text: string): Transcript {
  const entries: { line: number; text: string; replies: string[] }[] = [];
  const lines = text.replace(/\n$/, '').split('\n');
  for (const [index, each] of lines.entries()) {
    const last = entries.at(-1);
    if (isDirective(each)) entries.push({ line: index + 1, text: each, replies: [] });
    else if (last !== undefined && /[><]/.test(last.text) && !COMMENT.test(last.text)) last.replies.push(each);
    else throw new Error(`${file}:${index + 1}: neither a directive nor below a command: ${each}`);
  }
  const title = /^# (.+)/.exec(lines[0]!)?.[1];
  if (title === undefined) throw new Error(`${file}:1: a transcript begins with a comment that says what it shows`);
  const count = entries.map((entry) => INSTANCES.exec(entry.text)).find((match) => match !== null)?.[1];
  return { file, title, instances: Number(count ?? 2), entries };
}

/** Runs the transcript and returns what came below each of its entries. Throws an error that names the line. */
export async function playTranscript(
  transcript: Transcript,
  options: { readonly mergesSnapshots: boolean },
): Promise<string[][]> {
  const instances = new Instances(transcript.instances, options);
  const shown: string[][] = [];
  for (const entry of transcript.entries) {
    try {
      shown.push(await playEntry(instances, entry.text));
    } catch (error) {
      throw new Error(`${transcript.file}:${entry.line}: ${entry.text}\n${(error as Error).message}`, { cause: error });
    }
  }
  try {
    await instances.finish();
  } catch (error) {
    throw new Error(`${transcript.file}: at its end: ${(error as Error).message}`, { cause: error });
  }
  return shown;
}

async function playEntry(instances: Instances, text: string): Promise<string[]> {
  for (const [pattern, action] of ACTIONS) {
    const match = pattern.exec(text);
    if (match !== null) return (await action(instances, match)) ?? [];
  }
  throw new Error('not a directive');
}

/** Where replies differ from the recorded ones, to be read by people; empty: nowhere. */
export function describeDifferences(transcript: Transcript, shown: readonly (readonly string[])[]): string {
  return transcript.entries
    .flatMap(({ line, text, replies }, i) => {
      if (replies.join('\n') === shown[i]!.join('\n')) return [];
      const recorded = replies.map((reply) => `  - ${reply}\n`).join('');
      const actual = shown[i]!.map((reply) => `  + ${reply}\n`).join('');
      return [`${transcript.file}:${line}: ${text}\n${recorded}${actual}`];
    })
    .join('');
}

/** The transcript's text with these replies. */
export function rewriteTranscript(transcript: Transcript, shown: readonly (readonly string[])[]): string {
  return transcript.entries.map(({ text }, i) => [text, ...shown[i]!].join('\n') + '\n').join('');
}
