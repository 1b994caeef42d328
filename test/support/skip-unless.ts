const told = new Set<string>()

/** For `test.skipIf`: true if something that the tests need is missing; prints that once per file. */
export function skipUnless(isThere: boolean, need: string): boolean {
  if (isThere) return false
  if (!told.has(need)) process.stdout.write(`skipped: ${need}\n`)
  told.add(need)
  return true
}

const IS_ROOT = process.geteuid?.() === 0

/** For tests that switch user, mount, or change the owner of files. */
export const skipUnlessRoot = (why: string): boolean => skipUnless(IS_ROOT, `needs root: ${why}`)
