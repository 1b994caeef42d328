import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../support/program-run.js'

const parent = temporaryFolder('node-headers')
const script = join(import.meta.dirname, '../../../scripts/find-node-headers.js')
const [major, minor, patch] = process.versions.node.split('.') as [string, string, string]

test.each([
  ['of this version', patch, true],
  ['of another version', `${patch}9`, false],
  ['that are missing', undefined, false],
])('headers %s', (_, headersPatch, isFound) => {
  const prefix = mkdtempSync(join(parent, 'prefix-'))
  mkdirSync(join(prefix, 'bin'))
  mkdirSync(join(prefix, 'include/node'), { recursive: true })
  const node = join(prefix, 'bin/node')
  copyFileSync(process.execPath, node)
  if (headersPatch !== undefined) {
    writeFileSync(
      join(prefix, 'include/node/node_version.h'),
      `#define NODE_MAJOR_VERSION ${major}\n#define NODE_MINOR_VERSION ${minor}\n#define NODE_PATCH_VERSION ${headersPatch}\n`,
    )
  }
  expect(execFileSync(node, [script], { encoding: 'utf8' })).toBe(isFound ? `${prefix}\n` : '')
})
