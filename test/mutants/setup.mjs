// Run by vitest before every test file, with `const top = …`, the folder of the run, before it.
import { appendFileSync, chmodSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'

const file = encodeURIComponent(relative(process.cwd(), expect.getState().testPath))
const tell = (test) => {
  globalThis.__mutantsTest = test
  writeFileSync(`${top}/tests/${process.pid}`, test)
}
tell(file)
writeFileSync(`${top}/workers/${file}`, String(process.pid))
process.env.SPAMDCTL_MUTANTS_WORKER = String(process.pid)
appendFileSync(`${top}/hits/${file}`, '')
chmodSync(`${top}/hits/${file}`, 0o666)
beforeEach(({ task }) => tell(`${file} ${task.id}`))
afterEach(() => tell(file))
