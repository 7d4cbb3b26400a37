import { describe, expect, it } from '@jest/globals';
import { describeError, errorDocument, errorText } from '../../src/cli/describe-error.ts';
import { readEnvironment, type Surroundings } from '../../src/cli/environment.ts';
import { createStyle, durationText, PLAIN, table } from '../../src/cli/output.ts';
import { lineSteps } from '../../src/cli/steps.ts';
import { explainUnknownCommand } from '../../src/cli/suggest.ts';
import { pollUntil } from '../../src/cli/waiting.ts';
import { watch } from '../../src/cli/watch.ts';
import { CrdbError } from '../../src/errors.ts';
import { fakeWaiting } from './fake-control-plane.ts';

const never = new AbortController().signal;

describe('errors', () => {
  it('are the same sentence and the same exit code as text and as JSON', () => {
    const error = new CrdbError('port_in_use', 'Port 12000 is taken');
    expect(errorText(error)).toBe('Error: Port 12000 is taken\nTry: Leave --port away to have a free one chosen.');
    expect(errorDocument(error).error).toEqual({
      code: 'port_in_use',
      message: 'Port 12000 is taken',
      hint: error.hint,
    });
  });

  it('lose the frame that the parser of flags puts around them', () => {
    const error = new CrdbError('invalid_request', '--port: 70000 is too large');
    error.message = `Parsing --port \n\t${error.message}\nSee more help with --help`;
    expect(describeError(error).message).toBe('--port: 70000 is too large');
  });

  it('that nobody expected are bugs with exit code 70 and a stack', () => {
    const error = describeError(new TypeError('x is undefined'));
    expect([error.code, error.exitCode]).toEqual(['bug', 70]);
    expect(errorText(error)).toContain('presentation.test');
    expect(describeError('a string').exitCode).toBe(70);
  });

  it('of a question that was left with Ctrl-C mean interrupted', () => {
    expect(describeError(Object.assign(new Error('force closed'), { name: 'ExitPromptError' })).exitCode).toBe(130);
  });

  it('about unknown commands keep what was typed behind the mistake', () => {
    const commands = ['create', 'list', 'sync status'];
    expect(explainUnknownCommand(['sync', 'staus', 'orders'], commands).hint).toBe('crdb-cli sync status orders');
    expect(explainUnknownCommand(['crate', 'orders'], commands).hint).toBe('crdb-cli create orders');
    expect(explainUnknownCommand(['list', 'orders'], commands).message).toBe('list: unexpected argument "orders"');
    expect(explainUnknownCommand(['frobnicate'], commands).hint).toBe('See all commands: crdb-cli help');
  });
});

describe('the environment', () => {
  const read = (env: Surroundings['env'], isTTY = true) =>
    readEnvironment({ env, stdin: { isTTY }, stdout: { isTTY }, stderr: { isTTY } });

  it('names the home: CRDB_HOME, else the data directory, else ~/.local/share', () => {
    expect(read({ CRDB_HOME: '/srv/crdb', XDG_DATA_HOME: '/data' }).home).toBe('/srv/crdb');
    expect(read({ CRDB_HOME: '', XDG_DATA_HOME: '/data' }).home).toBe('/data/crdb-cli');
    expect(read({ XDG_DATA_HOME: 'relative' }).home).toMatch(/\/\.local\/share\/crdb-cli$/);
  });

  it('asks and spins on a terminal only, and not in CI', () => {
    expect([read({}).interactive, read({}).spinners]).toEqual([true, true]);
    expect([read({ CI: 'true' }).interactive, read({ CI: '1' }).spinners]).toEqual([false, false]);
    expect([read({}, false).interactive, read({}, false).spinners]).toEqual([false, false]);
  });

  it('obeys NO_COLOR', () => {
    expect([read({}).stdoutColor, read({ NO_COLOR: '1' }).stdoutColor, read({}, false).stdoutColor]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('output', () => {
  it('aligns columns by what can be seen', () => {
    const colored = createStyle(true);
    const lines = table(
      ['A', 'B'],
      [
        [colored.good('ok'), '1'],
        ['longer', '2'],
      ],
      PLAIN,
    ).split('\n');
    expect(lines[0]).toBe('A       B');
    expect(lines[1]).toBe(`${colored.good('ok')}      1`);
    expect(lines[2]).toBe('longer  2');
  });

  it('says durations in the unit that fits', () => {
    expect([0, 999, 3400, 125_000, 7_260_000, 200_000_000].map(durationText)).toEqual([
      '0 ms',
      '999 ms',
      '3.4 s',
      '2 min 5 s',
      '2 h 1 min',
      '2 d 7 h',
    ]);
  });

  it('reports a step with a line at its start and one at its end, also when it fails', async () => {
    const written: string[] = [];
    const steps = lineSteps({ write: (text) => written.push(text) }, fakeWaiting());
    expect(await steps.run('Starting local-1', async () => 7)).toBe(7);
    await expect(steps.run('Creating orders', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(written).toEqual([
      'Starting local-1 ...\n',
      'Starting local-1: done (0 ms)\n',
      'Creating orders ...\n',
      'Creating orders: failed\n',
    ]);
  });
});

describe('waiting', () => {
  it('ends with the first answer, at the deadline, or with the signal', async () => {
    let asked = 0;
    const within = { withinMs: 1000, signal: never };
    expect(await pollUntil(fakeWaiting(), within, async () => (++asked === 3 ? 'there' : null))).toBe('there');
    expect(await pollUntil(fakeWaiting(), within, async () => null)).toBeNull();
    const abort = new AbortController();
    const polling = pollUntil(fakeWaiting(), { withinMs: 1000, signal: abort.signal }, async () => {
      abort.abort(new CrdbError('interrupted', 'Interrupted'));
      return null;
    });
    await expect(polling).rejects.toThrow('Interrupted');
  });

  it('shows a watched thing until its reader goes, redrawn in place on a terminal', async () => {
    const pictures: string[] = [];
    const screen = (isTerminal: boolean) => ({
      isTerminal,
      isOpen: () => pictures.length < 2,
      write: (text: string) => void pictures.push(text),
    });
    await watch(async () => 'state', { screen: screen(false), waiting: fakeWaiting(), signal: never });
    expect(pictures).toEqual(['state\n', 'state\n']);
    pictures.length = 0;
    await watch(async () => 'two\nlines', { screen: screen(true), waiting: fakeWaiting(), signal: never });
    expect(pictures[0]).toBe('\u001b[Htwo\u001b[K\nlines\u001b[J\n');
  });
});
