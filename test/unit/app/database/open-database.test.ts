import { join } from 'node:path'
import { expect, test } from 'vitest'
import { useDatabase } from '../../../../src/app/database/open-database.js'
import { Scratch } from '../../../support/scratch-database.js'

const scratch = new Scratch()

test('where two databases are in use, what is wrong with one is not told as that of the other', async () => {
  const missing = join(scratch.folder(), 'missing.sqlite')
  const moving = useDatabase(scratch.create(), 'read', () =>
    useDatabase(missing, 'write', async () => undefined),
  )
  await expect(moving).rejects.toMatchObject({
    code: 'ERR_DB_OPEN',
    message: `cannot open ${missing} for writing: No such file or directory`,
  })
})
