/** Waits until `work` has settled, but not longer than this; true when it ended in time. */
export async function endsWithin(work: Promise<unknown>, waitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), waitMs)
  })
  const ended = work.then(
    () => true,
    () => true,
  )
  return await Promise.race([ended, late]).finally(() => clearTimeout(timer))
}
