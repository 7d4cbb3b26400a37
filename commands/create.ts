import { Flags } from '@oclif/core';
import { BaseCommand } from '../src/cli/base-command.ts';
import { chooseSpelling } from '../src/cli/choose.ts';
import { argument, dryRunFlag, integerFlag, PORT_RANGE, sizeFlag } from '../src/cli/flags.ts';
import { LOCAL_CLUSTERS_MAX } from '../src/cli/limits.ts';
import { parseInstance } from '../src/cli/parse-instance.ts';

export default class Create extends BaseCommand {
  static override summary = 'Create an Active-Active database.';
  static override description =
    'With --local N, makes N one-node clusters on this machine (local-1 to local-N), starts those that do not run, and creates the database on all of them. With --instance, creates it on clusters that exist. Returns when every instance takes writes and pulls from every other; on failure or Ctrl-C everything is taken back.';
  static override aliases = ['crdb:create'];
  static override examples = [
    'crdb-cli create orders --local 2',
    'crdb-cli create orders --local 3 --port 12000 --memory-size 1GB --json',
    'crdb-cli create orders --local 2 --password-file ./orders.password',
    'crdb-cli create orders --instance fqdn=eu.example.com,url=https://10.0.0.1:9443,credentials=eu/admin.json,certificate=eu/cert.pem --instance fqdn=us.example.com,url=https://10.1.0.1:9443,credentials=us/admin.json,certificate=us/cert.pem',
  ];
  static override args = { NAME: argument({ description: 'Name of the database.' }) };
  static override flags = {
    name: Flags.string({ description: 'Name of the database, instead of the argument.' }),
    local: integerFlag({
      min: 1,
      max: LOCAL_CLUSTERS_MAX,
      description: 'Local one-node clusters to use.',
      helpValue: 'N',
    }),
    instance: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      description:
        "A participating cluster; two or more times. Comma-separated: fqdn=NAME, url=https://HOST:PORT, certificate=PATH (a copy of the node's cert.pem), and credentials=PATH (of its admin.json) or username= and password=.",
      helpValue: 'CLUSTER',
    }),
    port: integerFlag({ ...PORT_RANGE, description: 'Port of the endpoints; with --local, of the first one.' }),
    'memory-size': sizeFlag({ description: 'Memory limit of each instance: 100mb, 1GB.', helpValue: 'SIZE' }),
    'data-persistence': Flags.option({ options: ['aof', 'snapshot', 'disabled'] as const })({
      description: 'What survives a restart.',
    }),
    'aof-policy': Flags.option({ options: ['appendfsync-every-sec', 'appendfsync-always'] as const })({
      description: 'When the log is flushed to the disk.',
    }),
    password: Flags.string({
      description: 'Password that applications give to the endpoints. Other users can read it here: rather use a file.',
    }),
    'password-file': Flags.string({
      description: 'File that holds the password, - for standard input; absent: the variable CRDB_PASSWORD, if set.',
      helpValue: 'PATH',
    }),
    compression: integerFlag({
      min: 0,
      max: 6,
      description: 'Compression between instances, 0 (none) to 6. Stored only: this version does not compress yet.',
    }),
    'dry-run': dryRunFlag,
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(Create);
    const name = chooseSpelling('The name', { as: 'NAME', value: args.NAME }, { as: '--name', value: flags.name });
    const { readPassword } = await import('../src/cli/read-secrets.ts');
    const password = await readPassword(
      { flag: flags.password, file: flags['password-file'], environment: this.environment.password },
      this.stdin,
    );
    const { planCreate } = await import('../src/cli/plan-create.ts');
    const plan = await planCreate({
      ...{ name, local: flags.local, port: flags.port, memoryBytesMax: flags['memory-size'] },
      ...{ dataPersistence: flags['data-persistence'], aofPolicy: flags['aof-policy'] },
      ...{ password, compression: flags.compression },
      instances: (flags.instance ?? []).map(parseInstance),
    });
    const control = await this.controlPlane();
    if (flags['dry-run']) {
      const { previewCreate, plannedCreateText } = await import('../src/cli/preview-create.ts');
      const planned = await previewCreate(plan, control);
      this.show(plannedCreateText(planned, this.style));
      return planned;
    }
    const { createDatabase, createdText } = await import('../src/cli/create-database.ts');
    const created = await createDatabase(plan, {
      control,
      steps: this.steps(),
      waiting: this.waiting,
      signal: this.signal,
      undo: this.undo,
    });
    this.show(createdText(created, { password: (password ?? '') !== '' }));
    return created;
  }
}
