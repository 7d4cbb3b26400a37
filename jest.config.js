/** Jest in ESM mode; swc only strips types, `npm run types` checks them. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, sourceMaps: 'inline' }],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist'],
  // Minutes each, and gigabytes: npm run test:real-size.
  testPathIgnorePatterns: process.env.CRDB_REAL_SIZE ? [] : ['<rootDir>/test/real-size'],
  setupFiles: ['<rootDir>/test/setup.ts'],
  maxWorkers: 2,
  workerIdleMemoryLimit: '1GB',
  // Tests end by bounds of their own; a busy machine takes its time.
  testTimeout: 120_000,
};
