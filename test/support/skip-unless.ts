const told = new Set<string>()

/** For `test.skipIf`: true, and says so once a file, when what the tests need is not there. */
export function skipUnless(isThere: boolean, need: string): boolean {
  if (isThere) return false
  if (!told.has(need)) process.stdout.write(`skipped: ${need}\n`)
  told.add(need)
  return true
}

const IS_ROOT = process.geteuid?.() === 0

/** For tests that switch user, mount, or give files away. */
export const skipUnlessRoot = (why: string): boolean => skipUnless(IS_ROOT, `needs root: ${why}`)
