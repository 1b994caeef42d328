import { chmodSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { mayWrite } from '../../../src/platform/may-write.js'
import { temporaryFolder } from '../../support/program-run.js'

const path = join(temporaryFolder('may-write'), 'file')
writeFileSync(path, '')
const { uid, gid } = statSync(path)
afterEach(() => {
  vi.restoreAllMocks()
  chmodSync(path, 0o644)
})

test('what access(2) says, while the users are the same', () => {
  expect(mayWrite(path)).toBe(true)
  expect(mayWrite(join(path, 'below-a-file'))).toBe(false)
  expect(mayWrite('/no-such-folder/file')).toBe(false)
})

describe('while root is another user, what the mode says', () => {
  test.each([
    { who: 'the owner', isOwner: true, group: 'none', mode: 0o200, may: true },
    { who: 'the owner', isOwner: true, group: 'none', mode: 0o577, may: false },
    { who: 'the owner, whatever its group may', isOwner: true, group: 'own', mode: 0o060, may: false },
    { who: 'its group', isOwner: false, group: 'own', mode: 0o020, may: true },
    { who: 'its group', isOwner: false, group: 'own', mode: 0o757, may: false },
    { who: 'one of its groups', isOwner: false, group: 'further', mode: 0o020, may: true },
    { who: 'one of its groups', isOwner: false, group: 'further', mode: 0o757, may: false },
    { who: 'anybody else', isOwner: false, group: 'none', mode: 0o002, may: true },
    { who: 'anybody else', isOwner: false, group: 'none', mode: 0o775, may: false },
  ])('$who, $mode: $may', ({ isOwner, group, mode, may }) => {
    chmodSync(path, mode)
    const effective = isOwner ? uid : uid + 1
    vi.spyOn(process, 'getuid').mockReturnValue(effective + 1)
    vi.spyOn(process, 'geteuid').mockReturnValue(effective)
    vi.spyOn(process, 'getegid').mockReturnValue(group === 'own' ? gid : gid + 1)
    vi.spyOn(process, 'getgroups').mockReturnValue(group === 'further' ? [gid + 2, gid] : [gid + 2])
    expect(mayWrite(path)).toBe(may)
  })

  test('what is not there may not be written', () => {
    vi.spyOn(process, 'getuid').mockReturnValue(uid + 1)
    expect(mayWrite(`${path}-none`)).toBe(false)
  })
})
