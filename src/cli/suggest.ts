/** "Did you mean": the known word nearest to a mistyped one. */
import { CrdbError } from '../errors.ts';

/** `words`: what was typed, its arguments included, for nobody knows where the command ends. */
export function explainUnknownCommand(words: readonly string[], commands: readonly string[]): CrdbError {
  const typed = words.join(' ');
  for (let length = words.length; length > 0; length--) {
    const start = words.slice(0, length).join(' ');
    if (commands.includes(start)) {
      const rest = words.slice(length).join(' ');
      return refuse(`${start}: unexpected argument "${rest}"`, `crdb-cli ${start} --help`);
    }
    const near = nearestWord(start, commands);
    if (near !== null)
      return refuse(`There is no command "${typed}"`, `crdb-cli ${[near, ...words.slice(length)].join(' ')}`);
  }
  return refuse(`There is no command "${typed}"`, 'See all commands: crdb-cli help');
}

/** What shows the help of the command that the arguments begin with, or of all commands. */
export function helpFor(argv: readonly string[], commands: readonly string[]): string {
  const end = argv.findIndex((word) => word.startsWith('-'));
  const words = end < 0 ? argv : argv.slice(0, end);
  for (let length = words.length; length > 0; length--) {
    const start = words.slice(0, length).join(' ');
    if (commands.includes(start)) return `crdb-cli ${start} --help`;
  }
  return 'crdb-cli help';
}

function refuse(message: string, hint: string): CrdbError {
  return new CrdbError('invalid_request', message, { hint });
}

/** The nearest word, or null when none is within a quarter of the typed length (at least one change). */
export function nearestWord(typed: string, known: readonly string[]): string | null {
  const limit = Math.max(1, Math.floor(typed.length / 4));
  let best: { word: string; distance: number } | null = null;
  for (const word of known) {
    const distance = editDistance(typed, word);
    if (distance <= limit && (best === null || distance < best.distance)) best = { word, distance };
  }
  return best?.word ?? null;
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1);
      }
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
