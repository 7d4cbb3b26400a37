/** Commands as a shell starts them, in a home without nodes: usage errors, exit codes, help, closed pipes. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execa } from 'execa';
import { createCliHome, RUN, type CliHome } from '../e2e/cli-home.ts';

let home: CliHome;
beforeAll(async () => {
  home = await createCliHome();
});
afterAll(() => home.cleanUp());

interface ErrorDocument {
  readonly error: { readonly code: string; readonly message: string; readonly hint: string };
}

describe('an empty home', () => {
  it('has no databases, and listing them makes no home', async () => {
    const { exitCode, stdout, stderr } = await home.run(['list']);
    expect([exitCode, stdout]).toEqual([0, 'CRDB-GUID  NAME  REPL-ID  CLUSTER-FQDN  ENDPOINT']);
    expect(stderr).toContain('crdb-cli create orders --local 2');
    expect((await home.json(['list'])).document).toEqual({ databases: [], unreachable: [], damaged: [] });
    expect((await home.json(['node', 'status'])).document).toEqual({ nodes: [], damaged: [] });
    expect((await home.json(['node', 'stop', '--all'])).document).toEqual({ nodes: [] });
  });

  it('plans a create without making anything', async () => {
    const { exitCode, document } = await home.json<{ status: string; instances: { cluster: string; node: string }[] }>([
      ...['create', 'orders', '--local', '2', '--dry-run'],
    ]);
    expect([exitCode, document.status]).toEqual([0, 'planned']);
    expect(document.instances.map(({ cluster, node }) => `${cluster} ${node}`)).toEqual([
      'local-1 to_be_made',
      'local-2 to_be_made',
    ]);
    expect((await home.json(['list'])).document).toEqual({ databases: [], unreachable: [], damaged: [] });
  });

  it.each([['get'], ['delete'], ['sync status'], ['sync pause'], ['sync resume'], ['sync resync']])(
    '%s says that there is no such database',
    async (command) => {
      const { exitCode, document } = await home.json<ErrorDocument>([...command.split(' '), 'orders']);
      expect([exitCode, document.error.code]).toEqual([1, 'database_not_found']);
      expect(document.error.message).toBe('There is no database "orders"');
    },
  );
});

it('a home that is no folder is a failure, not a bug', async () => {
  const { exitCode, stderr } = await home.run(['list'], { env: { CRDB_HOME: RUN } });
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('cannot be used: it is a file')]);
  expect(stderr).toContain('Try: CRDB_HOME names the folder');
});

describe('usage errors', () => {
  const cases: [string, string][] = [
    ['create x --local 2 --port 70000', '--port: 70000 is too large, at most 65535 is allowed'],
    ['create x --local 6', '--local: 6 is too large, at most 5 is allowed'],
    ['create x --local', '--local: a value is missing'],
    ['create --local 2', 'The name is missing'],
    ['create x', '--local N for clusters on this machine, or --instance for existing ones'],
    ['create x --local 2 --name y', 'NAME is "x", --name is "y"'],
    ['create x_y --local 2', 'The name "x_y" is not possible'],
    ['create x --local 2 --memory-size lots', '--memory-size: "lots" is not a size'],
    ['create x --local 2 --data-persistence rdb', '--data-persistence: "rdb" is not one of aof, snapshot, disabled'],
    ['create x --local 2 --compression 7', '--compression: 7 is too large, at most 6 is allowed'],
    [
      'create x --instance fqdn=a,username=b,password=c',
      '--instance: 1 given, 2 to 5 participating clusters are needed',
    ],
    ['create x --local 2 --frobnicate', 'Unknown flag: --frobnicate'],
    ['list extra', 'list: unexpected argument "extra"'],
    ['get', 'The database is missing'],
    ['crdb get --crdb-guid', '--crdb-guid: a value is missing'],
    ['node stop', 'The node is missing'],
    ['lits', 'There is no command "lits"'],
    ['sync pause x --from 256', '--from: 256 is too large, at most 255 is allowed'],
  ];

  it.each(cases)('%s', async (command, message) => {
    const { exitCode, stdout, stderr } = await home.run(command.split(' '));
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`Error: `);
    expect(stderr).toContain(message);
  });

  it.each([
    ['create x --lcal 2', '--local; all flags: crdb-cli create --help'],
    ['crdb create --name x --local 9', 'crdb-cli crdb create --help'],
    ['create x --local 9', 'crdb-cli create --help'],
    ['sync pause x --frobnicate', 'crdb-cli sync pause --help'],
    ['node start --name', 'crdb-cli node start --help'],
  ])('%s names what to type next', async (command, hint) => {
    expect((await home.run(command.split(' '))).stderr).toMatch(new RegExp(`^Try: ${hint}$`, 'm'));
  });

  it('do not read an argument that is missing from standard input', async () => {
    const { exitCode, stderr } = await home.run(['get'], { input: 'orders\n' });
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('The database is missing')]);
    const script = `printf '1\\n2\\n' | while read line; do ${process.execPath} ${RUN} list >&2; echo $line; done`;
    const { stdout } = await execa('bash', ['-c', script], { env: { CRDB_HOME: home.path } });
    expect(stdout).toBe('1\n2');
  });

  it('are the same with --json, on standard output', async () => {
    const { exitCode, document } = await home.json<ErrorDocument>([
      'crdb',
      'create',
      '--name',
      'x',
      '--local',
      '2',
      '--port',
      '0',
    ]);
    expect([exitCode, document.error.code]).toEqual([2, 'invalid_request']);
    expect(document.error.message).toBe('--port: 0 is too small, at least 1 is needed');
    expect((await home.json<ErrorDocument>(['lits'])).document.error.hint).toBe('crdb-cli list');
  });
});

describe('help', () => {
  it.each([
    'create',
    'list',
    'get',
    'delete',
    'node start',
    'node stop',
    'node status',
    'sync status',
    'sync pause',
    'sync resume',
  ])('%s shows examples', async (command) => {
    const { exitCode, stdout } = await home.run([...command.split(' '), '--help']);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('EXAMPLES');
    expect(stdout).toContain(`$ crdb-cli ${command}`);
    expect(stdout).toContain('--json');
  });

  it.each([['node'], ['sync'], ['crdb'], ['help']])('of the topic %s shows examples', async (topic) => {
    const { exitCode, stdout } = await home.run([topic]);
    expect([exitCode, stdout]).toEqual([0, expect.stringContaining('$ crdb-cli ')]);
    expect(stdout.split('\n').filter((line) => /^ {2}\$ crdb-cli [a-z]+ [a-z]/.test(line)).length).toBeGreaterThan(2);
  });

  it('tells the version, as text and as a document', async () => {
    expect((await home.run(['version'])).stdout).toBe((await home.run(['--version'])).stdout);
    const { exitCode, document } = await home.json<{ version: string }>(['--version']);
    expect([exitCode, document.version]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+$/)]);
  });

  it('lists the commands, also as "help" and in the spelling of Redis Enterprise', async () => {
    expect((await home.run(['help'])).stdout).toEqual((await home.run(['--help'])).stdout);
    expect((await home.run(['crdb'])).stdout).toContain('crdb create');
  });
});

describe('a reader that goes early', () => {
  it('gets no stack trace', async () => {
    const { stderr } = await execa(
      'bash',
      ['-c', `${process.execPath} ${RUN} create --help | true; exit \${PIPESTATUS[0]}`],
      {
        reject: false,
        env: { CRDB_HOME: home.path },
      },
    );
    expect(stderr).toBe('');
  });
});
