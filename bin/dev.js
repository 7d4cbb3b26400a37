#!/usr/bin/env -S node --no-warnings
import { register } from 'tsx/esm/api';
process.env.NODE_ENV = 'development';
register();
const { main } = await import('../src/cli/main.ts');
await main(process.argv.slice(2), import.meta.url);
