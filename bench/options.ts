/** What `npm run bench` is told to measure. */
import { parseArgs } from 'node:util';
import { chooseRuntimes, type Runtime } from './runtimes.ts';

export const PARTS = ['throughput', 'replicated', 'memory', 'latency', 'growth', 'stalls'] as const;
export type Part = (typeof PARTS)[number];

export const COMMANDS = ['set', 'get', 'incr', 'sadd', 'hset'] as const;
export type Command = (typeof COMMANDS)[number];

export interface Options {
  readonly parts: readonly Part[];
  readonly commands: readonly Command[];
  /** The first is compared; throughput shows all. */
  readonly runtimes: readonly Runtime[];
  /** Keys, or elements, that growth is measured at. */
  readonly sizes: readonly number[];
  /** Keys that maintenance has to do with. */
  readonly keys: number;
  readonly rounds: number;
  /** Shorter runs: figures to see that everything works, not to compare. */
  readonly quick: boolean;
}

export const HELP = `Side by side with redis-server, in one run. Only ratios are comparable between runs.

  npm run bench -- [--only PART,...] [options]

  --only PART,...       ${PARTS.join(', ')}; default: all
  --commands NAME,...   ${COMMANDS.join(', ')}; default: all
  --node PATH           another Node.js whose throughput is shown beside; may be repeated.
                        Default: the one in .ci/node-24, if it is installed
  --against FOLDER      another build (the folder that holds dist): its throughput is shown beside
  --sizes N,...         keys and elements for growth; default 1000,100000,3000000
  --keys N              keys for stalls; default 1000000
  --rounds N            rounds that a figure is the median of; default 3
  --quick               short runs, one round: to see that everything works
  --help

All parts together take about ten minutes. Figures: throughput as ratio to redis-server, and processor time per operation of both,
which other work on the machine disturbs less.
`;

/** Throws an Error that says what is wrong. */
export function readOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      commands: { type: 'string' },
      node: { type: 'string', multiple: true },
      against: { type: 'string' },
      sizes: { type: 'string' },
      keys: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const { quick } = values;
  return {
    parts: choose('--only', values.only, PARTS),
    commands: choose('--commands', values.commands, COMMANDS),
    runtimes: chooseRuntimes(values.node ?? [], values.against),
    sizes: (values.sizes ?? (quick ? '1000,20000' : '1000,100000,3000000')).split(',').map((n) => count('--sizes', n)),
    keys: count('--keys', values.keys ?? (quick ? '50000' : '1000000')),
    rounds: count('--rounds', values.rounds ?? (quick ? '1' : '3')),
    quick,
  };
}

function choose<T extends string>(flag: string, text: string | undefined, all: readonly T[]): readonly T[] {
  if (text === undefined) return all;
  return text.split(',').map((word) => {
    const found = all.find((one) => one === word);
    if (found === undefined) throw new Error(`${flag}: ${word} is none of ${all.join(', ')}`);
    return found;
  });
}

function count(flag: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`${flag}: ${text} is not a number from 1 on`);
  return value;
}
