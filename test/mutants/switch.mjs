// Imported by every file that holds changes, with `const top = …`, the folder of the run, before it.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'

const active = readFileSync(`${top}/active`, 'latin1')
const told = new Set()

/** The test file for which this process runs: told by the environment, else, where that was cleaned, by an ancestor. */
function testFile() {
  const named = process.env.SPAMDCTL_MUTANTS_TEST
  if (named !== undefined) return named
  for (let pid = process.pid; pid > 1; ) {
    if (existsSync(`${top}/tests/${pid}`)) return readFileSync(`${top}/tests/${pid}`, 'latin1')
    pid = Number(
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[1],
    )
  }
  return undefined
}

function record(number) {
  if (told.has(number)) return false
  told.add(number)
  try {
    const file = testFile()
    if (file !== undefined) appendFileSync(`${top}/hits/${file}`, `${number}\n`)
  } catch {
    // A process without rights in a world of its own: the test has others, which tell.
  }
  return false
}

/** Whether the change of this number is on. */
export const isMutant = active === 'record' ? record : (number) => String(number) === active
