import { describe, expect, it } from '@jest/globals';
import { Answers } from '../../src/node/answers.ts';

const at = (monotonicMs: number) => ({ monotonicMs, timestamp: `t${monotonicMs}` });

describe('an instance that is asked again and again', () => {
  it('is silent when it has not answered for long, counted from its last answer', () => {
    const answers = new Answers(at(0), 1000);
    answers.answered(at(100));
    expect([500, 900, 1099].map((ms) => answers.missed(at(ms)))).toEqual([null, null, null]);
    expect(answers.silentSince).toBeNull();
    expect(answers.missed(at(1100))).toEqual({ type: 'silent', since: 't100' });
    expect(answers.missed(at(1200))).toBeNull();
    expect(answers.silentSince).toBe('t100');
  });

  it('is well again with its first answer, and for how long it was silent is told once', () => {
    const answers = new Answers(at(0), 1000);
    for (const ms of [600, 1000, 1400]) answers.missed(at(ms));
    expect(answers.answered(at(2000))).toEqual({ type: 'answering', silentMs: 2000 });
    expect(answers.answered(at(2100))).toBeNull();
    expect(answers.silentSince).toBeNull();
  });

  it('is not blamed for a machine that was asleep: one question is not enough', () => {
    const answers = new Answers(at(0), 1000);
    expect(answers.missed(at(3_600_000))).toBeNull();
    expect(answers.answered(at(3_600_100))).toBeNull();
  });
});
