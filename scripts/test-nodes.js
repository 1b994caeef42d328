/**
 * Runs this checkout on each supported Node: `npm run test:nodes -- [--node 22,24] [--quick] [TESTS...]`. Each gets
 * its own clone of HEAD and an interpreter from the npm registry, and runs `npm start` (install, build, tour) and
 * `npm test`, or only the named tests (`test/unit test/golden`). --quick skips the tests. Prints a line for each;
 * fails if one failed.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

const { values, positionals: tests } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string', default: '20,22,24' }, quick: { type: 'boolean', default: false } },
})
const root = resolve(import.meta.dirname, '..')
const work = mkdtempSync(join(tmpdir(), 'spamdctl-nodes-'))
const npmCli = process.env.npm_execpath
let isGood = true
try {
  if (npmCli === undefined) throw new Error('start this with: npm run test:nodes')
  for (const major of values.node.split(',')) isGood = tryNode(major.trim()) && isGood
} finally {
  rmSync(work, { recursive: true, force: true })
}
process.exit(isGood ? 0 : 1)

function tryNode(major) {
  const bin = fetchNode(major)
  const checkout = join(work, `checkout-${major}`)
  must('git', ['clone', '--quiet', root, checkout])
  const environment = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    // Node's own headers are beside it.
    npm_package_config_node_gyp_nodedir: dirname(bin),
  }
  const version = spawnSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).stdout.trim()
  const steps = values.quick ? [['start']] : [['start'], ['test', '--', ...tests]]
  for (const words of steps) {
    const { status, stdout, stderr } = spawnSync(join(bin, 'node'), [npmCli, ...words], {
      cwd: checkout,
      env: environment,
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    })
    const count = /^\d+ passed, \d+ failed.*$/m.exec(stdout)?.[0] ?? ''
    console.log(
      `Node ${version}: npm ${words.join(' ')}: ${status === 0 ? 'ok' : 'FAILED'} ${count}`.trimEnd(),
    )
    if (status !== 0) {
      const lines = `${stdout}${stderr}`.split('\n')
      // What failed is told with its reason in one part of the output: from its head on, else the end.
      const head = lines.findIndex((line) => /Failed (?:Suites|Tests)/.test(line))
      console.log(lines.slice(head === -1 ? -60 : head).join('\n'))
      return false
    }
  }
  return true
}

/** The bin folder of the newest release of a major version. */
function fetchNode(major) {
  const folder = join(work, `node-${major}`)
  mkdirSync(folder)
  const name = `node-${process.platform}-${process.arch}@^${major}.0.0`
  const packed = must(process.execPath, [npmCli, 'pack', '--json', '--pack-destination', folder, name])
  const { filename } = JSON.parse(packed).at(-1)
  must('tar', ['-xzf', join(folder, filename), '-C', folder])
  const bin = join(folder, 'package', 'bin')
  chmodSync(join(bin, 'node'), 0o755)
  if (readFileSync(join(bin, 'node')).length === 0) throw new Error(`${name} holds no interpreter`)
  return bin
}

function must(program, argv) {
  const { status, stdout, stderr } = spawnSync(program, argv, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (status !== 0) throw new Error(`${program} ${argv.join(' ')}: ${stderr}`)
  return stdout
}
