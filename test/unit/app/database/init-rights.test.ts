import { chmodSync, chownSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { initDatabase } from '../../../../src/app/database/open-database.js'
import { Scratch } from '../../../support/scratch-database.js'
import { skipUnlessRoot } from '../../../support/skip-unless.js'

const scratch = new Scratch()
const STRANGER = 54_321

test.skipIf(skipUnlessRoot('working as the owner of a folder'))(
  "root makes a database in another user's folder as that user, and is root again",
  async () => {
    const folder = scratch.folder()
    chmodSync(folder, 0o755)
    chownSync(folder, STRANGER, STRANGER)
    const path = join(folder, 'db')
    for (const isNew of [true, false]) {
      expect(await initDatabase(path)).toBe(isNew)
      expect([process.geteuid!(), process.getegid!()]).toEqual([0, 0])
    }
    expect(statSync(path).uid).toBe(STRANGER)
  },
)
