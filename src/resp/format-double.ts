/** Doubles as Redis prints them (`%.17g`, shortest that reads back): `3`, `3.5`, `1e+21`, `inf`, `-inf`, `nan`. */
export function formatDouble(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  if (Object.is(value, -0)) return '-0';
  const text = String(value);
  // JavaScript drops the zero of a one-digit exponent; C prints at least two digits.
  return text.replace(/e([+-])(\d)$/, 'e$10$2');
}
