/**
 * The instance process: `node main.js <instance.json>`. Exit codes are described in config.ts.
 *
 * Log lines go to stdout, one JSON document each; why it could not start goes to stderr as its last line.
 */
import { readFileSync } from 'node:fs';
import { CrdbError } from '../errors.ts';
import { createRealHost } from '../host/real-host.ts';
import { LoadingStopped } from '../storage/loading-pace.ts';
import { readConfig } from './instance-port.ts';
import { Instance } from './instance.ts';
import { createLogger } from './logger.ts';
import { rehearse } from './rehearsal/rehearse.ts';

const EXIT = { stopped: 0, failed: 1, badConfig: 2, portInUse: 3 } as const;

function end(code: number, reason?: string): never {
  if (reason !== undefined) process.stderr.write(`${reason}\n`);
  process.exit(code);
}

async function main(path: string | undefined): Promise<void> {
  if (path === undefined) end(EXIT.badConfig, 'usage: node main.js <instance.json>');
  const config = readConfig(readFileSync(path, 'utf8'));
  if (typeof config === 'string') end(EXIT.badConfig, `${path}: ${config}`);
  // A line that cannot be written (the disk is full) is lost; what is served goes on.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const host = createRealHost();
  const log = createLogger({
    write: (line) => process.stdout.write(line),
    nowMs: () => host.clock.nowMs(),
    json: !process.stdout.isTTY,
    minimum: 'info',
  });
  let instance: Instance | null = null;
  let isStopping = false;
  const stop = (): void => {
    isStopping = true;
    // Loading ends in its next turn; what follows it is over soon, and is undone by a stop like any other.
    if (instance === null) return;
    log('info', 'instance stopping');
    instance.stop().then(
      () => end(EXIT.stopped),
      (error: unknown) => end(EXIT.failed, `stopping failed: ${String(error)}`),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('uncaughtException', (error) => {
    log('error', `bug: ${error.stack ?? error.message}`);
    end(EXIT.failed, `bug: ${error.message}`);
  });
  await rehearse(host).catch((error: unknown) => log('info', `the rehearsal failed: ${String(error)}`));
  try {
    instance = await Instance.start({
      host,
      config,
      pid: process.pid,
      log,
      onShutdown: stop,
      isStopping: () => isStopping,
      onFatal: (reason) => {
        log('error', `fatal: ${reason}`);
        end(EXIT.failed, reason);
      },
    });
    if (isStopping) stop();
  } catch (error) {
    if (error instanceof LoadingStopped) {
      log('info', `instance stopped: ${error.message}`);
      end(EXIT.stopped);
    }
    const { code, message } = error as NodeJS.ErrnoException;
    // One line, so that whoever shows the last line shows the next step as well.
    const reason = error instanceof CrdbError ? `${message} ${error.hint}` : message;
    end(code === 'EADDRINUSE' ? EXIT.portInUse : EXIT.failed, reason);
  }
}

await main(process.argv[2]);
