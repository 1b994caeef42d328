// Imported by every file that holds changes, with `const top = …`, the folder of the run, before it.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

const active = readFileSync(`${top}/active`, 'latin1')
/** Numbers that were told, for each test of this process. */
const told = new Map()

/**
 * The test for which this process runs, `file` or `file test`: a worker of vitest tells it, which the environment names, or
 * an ancestor where that was cleaned.
 */
function currentTest() {
  const named = process.env.SPAMDCTL_MUTANTS_WORKER
  if (named !== undefined) return readFileSync(`${top}/tests/${named}`, 'latin1')
  for (let pid = process.pid; pid > 1; ) {
    if (existsSync(`${top}/tests/${pid}`)) return readFileSync(`${top}/tests/${pid}`, 'latin1')
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '')
    pid = Number(status.split(' ')[1])
  }
  return undefined
}

function record(number) {
  const test = globalThis.__mutantsTest
  let numbers = told.get(test)
  if (numbers === undefined) {
    numbers = new Set()
    told.set(test, numbers)
  }
  if (numbers.has(number)) return false
  numbers.add(number)
  try {
    const [file, testId = ''] = currentTest()?.split(' ') ?? []
    if (file !== undefined) appendFileSync(`${top}/hits/${file}`, `${number} ${testId}\n`)
  } catch {
    // A process without rights in a world of its own: the test has others, which tell.
  }
  return false
}

/** Whether the change of this number is on. */
export const isMutant = active === 'record' ? record : (number) => String(number) === active
