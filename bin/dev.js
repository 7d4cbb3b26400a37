#!/usr/bin/env -S node --no-warnings
import { rmSync } from 'node:fs';
import { URL } from 'node:url';
import { register } from 'tsx/esm/api';
process.env.NODE_ENV = 'development';
register();
// A build's: it would hide a command that is new.
rmSync(new URL('../oclif.manifest.json', import.meta.url), { force: true });
const { main } = await import('../src/cli/main.ts');
await main(process.argv.slice(2), import.meta.url);
