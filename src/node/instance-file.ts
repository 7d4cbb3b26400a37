/** `instance.json` as it is read back: `InstanceConfig` of src/instance/config.ts, checked. */
import { z } from 'zod';
import type { InstanceConfig } from '../instance/config.ts';

const persistence = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('aof'), fsync: z.enum(['every-sec', 'always']) }),
  z.object({ kind: z.literal('snapshot'), afterSeconds: z.number(), afterWrites: z.number() }),
  z.object({ kind: z.literal('disabled') }),
]);

export const instanceConfig: z.ZodType<InstanceConfig> = z.object({
  version: z.literal(1),
  guid: z.string(),
  name: z.string(),
  instanceId: z.number().int(),
  cluster: z.string(),
  host: z.string(),
  port: z.number().int(),
  dataDirectory: z.string(),
  persistence,
  password: z.string(),
  replicationSecret: z.string(),
  controlSecret: z.string(),
  memoryBytesMax: z.number(),
  backlogBytesMax: z.number(),
  clockAheadMaxMs: z.number().exactOptional(),
  compression: z.number(),
  peers: z.array(
    z.object({
      id: z.number().int(),
      cluster: z.string(),
      host: z.string(),
      port: z.number().int(),
      paused: z.boolean(),
    }),
  ),
});
