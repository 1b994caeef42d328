// `npm test`: the one gate. Runs every check of the sources, then all tests, and ends with the line
// `N passed, N failed` (and `, N skipped`): each check counts as one, and each test as one. A failure does not stop
// the run, so that one run shows all failures. With arguments (`npm test -- test/unit/ip`), only these tests run.
//
// The native modules are compiled (scripts/setup.sh) while the checks run, which do without them. With little memory,
// one goes after the other: to lint with types takes 2 GB when there is room, and 1.3 GB when there is not.
//
// Tests that switch user start the programs as `nobody`, who can read neither a clone in /root nor one made under
// umask 077. In that case the tests run in a copy that everybody can read.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
/** The long ones first. */
const CHECKS = ['lint', 'types', 'unused', 'layers', 'docs', 'format']
const words = process.argv.slice(2)
const hasRoom = process.availableMemory() > 4e9
const CHECK_HEAP_MIB = 1200
// With it, every Node that a test starts reads a file of certificates first, which takes longer than most of them.
delete process.env.NODE_EXTRA_CA_CERTS

const setup = finishSetup()
if (!hasRoom) await setup
const [checks] = await Promise.all([words.length === 0 ? runChecks() : [], setup])
const tests =
  process.getuid?.() === 0 && !canNobodyRun(process.execPath, root)
    ? await runInReadableCopy()
    : await runTests(process.execPath, root)
const failedChecks = checks.filter(({ isGood }) => !isGood)

console.log(
  `${tests.product} tests of the product (${tests.lab} in the lab, ${tests.labSkipped} of the lab skipped), ${tests.standIns} of the stand-ins that tests use, ${checks.length} checks of the sources`,
)
for (const { name } of failedChecks) console.log(`failed: npm run check:${name}`)
const passed = tests.passed + checks.length - failedChecks.length
const failed = tests.failed + failedChecks.length
console.log(`${passed} passed, ${failed} failed${tests.skipped > 0 ? `, ${tests.skipped} skipped` : ''}`)
process.exitCode = failed === 0 ? 0 : 1

/** True if an unprivileged user can start this Node and read the programs, their modules and the tests. */
function canNobodyRun(node, checkout) {
  const files = ['bin/spamd.js', 'dist/src/cli/getopt.js', 'test/support', 'node_modules/undici/package.json']
  const script = 'for (const path of process.argv.slice(1)) require("node:fs").accessSync(path, 4)'
  const ran = spawnSync(node, ['-e', script, ...files.map((file) => join(checkout, file))], {
    cwd: '/',
    uid: 65_534,
    gid: 65_534,
    stdio: 'ignore',
  })
  return ran.status === 0
}

/** Ends with an error if the native modules cannot be compiled: nearly every test needs them. */
async function finishSetup() {
  const child = spawn('sh', ['scripts/setup.sh'], { cwd: root, stdio: 'inherit' })
  const [code] = await once(child, 'close')
  if (code === 0) return
  console.log('scripts/setup.sh failed: no test was run\n0 passed, 1 failed')
  process.exit(1)
}

/** Runs the tests in a copy of the checkout, and with a copy of this Node if others cannot read that either. */
async function runInReadableCopy() {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-checkout-'))
  try {
    const copy = join(folder, 'spamdctl')
    console.log(`nobody cannot read ${root}: the tests run in ${copy}`)
    cpSync(root, copy, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => path !== join(root, '.git'),
    })
    spawnSync('chmod', ['-R', 'a+rX', copy], { stdio: 'inherit' })
    chmodSync(folder, 0o755)
    // What is built must not look older than its sources: packing it would build it anew, under tests that run it.
    const now = new Date()
    for (const stamp of ['.sources', '.built']) utimesSync(join(copy, 'dist', stamp), now, now)
    let node = process.execPath
    if (!canNobodyRun(node, copy)) {
      node = join(folder, 'node')
      cpSync(process.execPath, node)
      chmodSync(node, 0o755)
    }
    if (!canNobodyRun(node, copy))
      throw new Error(`nobody cannot read ${copy}: set TMPDIR to a folder that all can enter`)
    return await runTests(node, copy)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs the checks, as many at once as there are cores and memory for; shows only the output of those that fail. */
async function runChecks() {
  const waiting = [...CHECKS]
  const results = []
  const runNext = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      results.push({ name, isGood: await runCheck(name) })
    }
  }
  await Promise.all(Array.from({ length: hasRoom ? availableParallelism() : 1 }, runNext))
  return results
}

async function runCheck(name) {
  const startMs = performance.now()
  const child = spawn('npm', ['run', '--silent', `check:${name}`], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: hasRoom ? process.env : { ...process.env, NODE_OPTIONS: `--max-old-space-size=${CHECK_HEAP_MIB}` },
  })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => output.push(bytes))
  const [code] = await once(child, 'close')
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  if (code !== 0) process.stderr.write(Buffer.concat(output))
  console.log(`check:${name} ${code === 0 ? 'passed' : 'FAILED'} (${seconds} s)`)
  return code === 0
}

/** Runs vitest; its reporter (test/support/count-reporter.ts) writes the counts to a file. */
async function runTests(node, checkout) {
  const folder = mkdtempSync(join(tmpdir(), 'spamdctl-gate-'))
  const countFile = join(folder, 'counts.json')
  const require = createRequire(join(checkout, 'package.json'))
  const vitest = join(dirname(require.resolve('vitest/package.json')), 'vitest.mjs')
  try {
    const child = spawn(node, [vitest, 'run', ...words], {
      cwd: checkout,
      stdio: 'inherit',
      env: {
        ...process.env,
        SPAMDCTL_COUNT_FILE: countFile,
        PATH: `${dirname(node)}:${process.env.PATH}`,
      },
    })
    const [code] = await once(child, 'close')
    const counts = readCounts(countFile)
    // A failure of the runner itself (no test found, a worker died) counts as a failure, too.
    if (code !== 0 && counts.failed === 0) counts.failed = 1
    return counts
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readCounts(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    console.log('the test runner ended without its counts')
    return { passed: 0, failed: 1, skipped: 0, product: 0, standIns: 0, lab: 0, labSkipped: 0 }
  }
}
