import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { assertLaw } from '../law.ts';
import { StableWorld, type Step } from './stability-world.ts';

const COUNT = 3;
const who = fc.integer({ min: 0, max: COUNT - 1 });
const weigh = <T>(weight: number, arbitrary: fc.Arbitrary<T>): { arbitrary: fc.Arbitrary<T>; weight: number } => ({
  arbitrary,
  weight,
});

const step: fc.Arbitrary<Step> = fc.oneof(
  weigh(6, fc.record({ do: fc.constant('write' as const), at: who })),
  weigh(2, fc.record({ do: fc.constantFrom('save' as const, 'crash' as const), at: who })),
  weigh(5, fc.record({ do: fc.constant('judge' as const), at: who })),
  weigh(
    30,
    fc.record({
      do: fc.constantFrom('connect', 'send', 'read', 'read', 'leave', 'say', 'hear', 'hear'),
      at: who,
      from: who,
    }) as fc.Arbitrary<Step>,
  ),
  weigh(4, fc.record({ do: fc.constant('relay' as const), at: who, from: who, origin: who })),
);

function playAll(steps: readonly Step[]): StableWorld {
  const world = new StableWorld(COUNT);
  for (const one of steps) world.perform(one);
  return world;
}

describe('what is final', () => {
  it('stays so whatever was lost, relayed late, or read from a process that is no more; and everything becomes final once all are connected', () => {
    assertLaw(
      fc.array(step, { maxLength: 250, minLength: 20 }),
      (steps) => {
        const world = playAll(steps);
        world.heal();
        const [first] = world.instances;
        for (const instance of world.instances) {
          expect([...instance.applied()].sort()).toEqual([...first!.applied()].sort());
          for (const origin of instance.memory.ops.keys()) {
            for (const ops of instance.memory.ops.values()) {
              for (const reset of ops) expect([origin, instance.isFinal(origin, reset)]).toEqual([origin, true]);
            }
          }
        }
      },
      { runs: 150, print: (steps) => steps.map((one) => JSON.stringify(one)).join('\n') },
    );
  });

  it('waits for a tail that its instance lost and a peer relays later', () => {
    const world = new StableWorld(COUNT);
    const [a, s, x] = [0, 1, 2];
    const pull = (at: number, from: number): void => {
      for (const act of ['connect', 'send', 'read', 'read', 'read', 'read', 'read'] as const)
        world.perform({ do: act, at, from });
    };
    const tell = (from: number, to: number): void => {
      world.perform({ do: 'say', at: from, from: to });
      world.perform({ do: 'hear', at: to, from });
    };
    world.perform({ do: 'write', at: a });
    pull(s, a);
    pull(x, a);
    world.perform({ do: 'write', at: s }); // the reset
    world.perform({ do: 'write', at: a }); // the tail, which has not seen it
    world.perform({ do: 'send', at: x, from: a });
    pull(x, s);
    tell(x, s); // x has the reset, and the tail still unread
    world.perform({ do: 'crash', at: a });
    pull(a, s);
    tell(a, s);
    const [resetter, reader] = [world.instances[s]!, world.instances[x]!];
    const [reset] = resetter.memory.ops.get('2:101')!;
    const isFinal = (): boolean => resetter.isFinal('1:100', reset!);
    expect(isFinal()).toBe(false);
    pull(x, a); // reads the tail from the dead process
    expect(reader.has('1:100')).toBe(2);
    tell(x, s);
    expect(isFinal()).toBe(false);
    pull(s, x);
    world.heal();
    expect(resetter.has('1:100')).toBe(2);
    expect(isFinal()).toBe(true);
  });
});
