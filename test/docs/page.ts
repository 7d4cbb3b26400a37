/**
 * What a page of the documentation asks its reader to type, and what it promises will come of it.
 *
 *   ```sh            commands, one on a line (`\` continues it). Each must end with exit code 0.
 *   cmd   # shows 12         the output is 12
 *   cmd   # exit code 5      it fails, with this exit code
 *   ```text output   right after such a block: what its last command printed. Numbers, ids and times may differ; `...` stands for further lines
 *   Both show 12.    in the text after a block: the last two GETs of the block printed 12
 *
 * Any other fence (```ini, ```text, ```json) is for reading only. Other comments behind a command are for people.
 */

export interface Step {
  /** Line of the page, from 1. */
  readonly line: number;
  readonly command: string;
  readonly exitCode: number;
  /** The whole output. */
  readonly shows: string | null;
  /** The shape of the output, line by line. */
  readonly output: readonly string[] | null;
}

const FENCE = /^```(.*)$/;
const BOTH_SHOW = /^Both show (\S+?)[.,;:]?(\s|$)/;
/** Needs a registry, or would test the tests. */
const LEFT_OUT = /^(npm (ci|test|pack|install)|npm run (check|simulate|bench))\b/;

export function readPage(markdown: string): Step[] {
  const lines = markdown.split('\n');
  let steps: Step[] = [];
  for (let i = 0; i < lines.length; i++) {
    const info = FENCE.exec(lines[i]!)?.[1];
    if (info === undefined) {
      const both = BOTH_SHOW.exec(lines[i]!)?.[1];
      if (both !== undefined) steps = markLastGets(steps, both, i + 1);
      continue;
    }
    const end = lines.findIndex((line, at) => at > i && line === '```');
    if (end < 0) throw new Error(`the fence of line ${i + 1} is never closed`);
    const body = lines.slice(i + 1, end);
    if (info === 'sh') steps.push(...readBlock(body, i + 2));
    if (info === 'text output') steps = describeLast(steps, body, i + 1);
    i = end;
  }
  return steps;
}

function readBlock(body: readonly string[], firstLine: number): Step[] {
  const steps: Step[] = [];
  for (let i = 0; i < body.length; i++) {
    const line = firstLine + i;
    let text = body[i]!;
    while (text.endsWith('\\')) text = `${text.slice(0, -1)}${body[++i]}`;
    const [, command = '', comment = ''] = /^(.*?)(?:\s+# (.*))?$/.exec(text.trim())!;
    if (command === '' || command.startsWith('#') || LEFT_OUT.test(command)) continue;
    const exitCode = Number(/^exit code (\d+)/.exec(comment)?.[1] ?? 0);
    steps.push({ line, command, exitCode, shows: /^shows (.*)$/.exec(comment)?.[1] ?? null, output: null });
  }
  return steps;
}

function describeLast(steps: readonly Step[], output: readonly string[], line: number): Step[] {
  const last = steps.at(-1);
  if (last === undefined) throw new Error(`the output of line ${line} follows no command`);
  return [...steps.slice(0, -1), { ...last, output }];
}

function markLastGets(steps: readonly Step[], value: string, line: number): Step[] {
  const gets = steps.filter(({ command }) => /^redis-cli .*\bGET\b/.test(command)).slice(-2);
  if (gets.length < 2) throw new Error(`"Both show" of line ${line} follows no two GETs`);
  return steps.map((step) => (gets.includes(step) ? { ...step, shows: value } : step));
}

/** Whether the command can be repeated until its promise holds: instances agree a moment later, not at once. */
export const looksOnly = (command: string): boolean =>
  /^redis-cli .*\b(GET|MGET|HGETALL|SMEMBERS|EXISTS|TTL|DBSIZE|PING|INFO|DEBUG DIGEST)\b/.test(command) ||
  /^(npx )?crdb-cli (list|get|sync status|node status)\b/.test(command);

/** What differs between what was printed and what the page says; null when nothing does. */
export function explainOutput(printed: string, { shows, output }: Pick<Step, 'shows' | 'output'>): string | null {
  if (shows !== null && printed.trim() !== shows)
    return `it printed ${JSON.stringify(printed.trim())}, the page says ${JSON.stringify(shows)}`;
  if (output === null) return null;
  const shapes = printed.split('\n').map(shapeOf);
  let next = 0;
  let mayskip = false;
  for (const line of output) {
    if (line.trim() === '...') {
      mayskip = true;
      continue;
    }
    const wanted = shapeOf(line);
    const at = mayskip ? shapes.indexOf(wanted, next) : next;
    if (at < 0 || shapes[at] !== wanted)
      return `the page shows the line ${JSON.stringify(line)}, printed was:\n${printed}`;
    next = at + 1;
    mayskip = false;
  }
  const rest = shapes.slice(next).filter((shape) => shape !== '');
  return rest.length === 0 || mayskip ? null : `it printed more than the page shows:\n${printed}`;
}

/** A line without what differs from run to run: widths, ids, numbers, durations. */
function shapeOf(line: string): string {
  return line
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'GUID')
    .replace(/\b[0-9a-f]{40}\b/g, 'ID')
    .replace(/\/\S+(?=\/nodes\/)/g, 'HOME')
    .replace(/\b(?=[0-9a-f]*\d)[0-9a-f]{6}\b/g, 'N')
    .replace(/[+-]?\b\d+ min \d+ s\b|[+-]?\b[\d.]+ (ms|s)\b/g, 'TIME')
    .replace(/\d+/g, 'N')
    .replace(/-{2,}/g, '-')
    .replace(/\s+/g, ' ')
    .trim();
}
