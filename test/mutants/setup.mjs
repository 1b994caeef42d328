// Run by vitest before every test file, with `const top = …`, the folder of the run, before it.
import { appendFileSync, chmodSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { expect } from 'vitest'

const file = encodeURIComponent(relative(process.cwd(), expect.getState().testPath))
writeFileSync(`${top}/tests/${process.pid}`, file)
writeFileSync(`${top}/workers/${file}`, String(process.pid))
process.env.SPAMDCTL_MUTANTS_TEST = file
appendFileSync(`${top}/hits/${file}`, '')
chmodSync(`${top}/hits/${file}`, 0o666)
