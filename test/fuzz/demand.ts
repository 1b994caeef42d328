/** Throws when a rule does not hold. */
export function demand(holds: boolean, rule: string): void {
  if (!holds) throw new Error(rule)
}
