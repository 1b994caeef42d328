import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { distrustOf, type FolderView } from '../../../src/platform/trusted-folder.js'

interface Place {
  uid?: number
  gid?: number
  mode?: number
  /** A symbolic link to there. */
  link?: string
}

/** A file system of folders; what is not named belongs to root, mode 0755. */
function view(places: Record<string, Place>): FolderView {
  return {
    lstat: (path) => {
      const { uid = 0, gid = 0, mode = 0o755, link } = places[path] ?? {}
      return {
        uid,
        gid,
        mode,
        isDirectory: () => link === undefined,
        isSymbolicLink: () => link !== undefined,
      }
    },
    readlink: (path) => places[path]!.link!,
  }
}

const cases: { name: string; folder: string; places: Record<string, Place>; want: string | undefined }[] = [
  { name: 'a folder of root', folder: '/run/spamd', places: {}, want: undefined },
  {
    name: 'a folder of the process itself',
    folder: '/run/spamd',
    places: { '/run/spamd': { uid: 7, mode: 0o700 } },
    want: undefined,
  },
  {
    name: 'a folder of another user',
    folder: '/run/spamd',
    places: { '/run/spamd': { uid: 8 } },
    want: '/run/spamd belongs to user number 8',
  },
  {
    name: 'a folder in a folder of another user, who could put another in its place',
    folder: '/home/eve/run',
    places: { '/home/eve': { uid: 8 } },
    want: '/home/eve belongs to user number 8',
  },
  {
    name: 'a folder that a group writes',
    folder: '/run/spamd',
    places: { '/run/spamd': { gid: 50, mode: 0o2775 } },
    want: '/run/spamd can be written by the group with number 50',
  },
  {
    name: 'a folder that the group of root writes (wheel)',
    folder: '/var/run',
    places: { '/var/run': { mode: 0o775 } },
    want: undefined,
  },
  {
    name: 'a folder that everybody writes, sticky or not',
    folder: '/tmp',
    places: { '/tmp': { mode: 0o1777 } },
    want: '/tmp can be written by every user',
  },
  {
    name: 'our own folder in a sticky one',
    folder: '/tmp/ours',
    places: { '/tmp': { mode: 0o1777 }, '/tmp/ours': { uid: 7 } },
    want: undefined,
  },
  {
    name: "another's folder in a sticky one",
    folder: '/tmp/theirs/run',
    places: { '/tmp': { mode: 0o1777 }, '/tmp/theirs': { uid: 8 } },
    want: '/tmp/theirs belongs to user number 8',
  },
  {
    name: 'our own folder in one that everybody writes and that is not sticky',
    folder: '/pub/ours',
    places: { '/pub': { mode: 0o777 }, '/pub/ours': { uid: 7 } },
    want: '/pub can be written by every user',
  },
  {
    name: 'a link of root to a safe place',
    folder: '/var/run/spamd',
    places: { '/var/run': { link: '/run', mode: 0o777 } },
    want: undefined,
  },
  {
    name: 'a relative link of root to an unsafe place',
    folder: '/var/run/spamd',
    places: { '/var/run': { link: '../pub' }, '/pub': { mode: 0o777 } },
    want: '/pub can be written by every user',
  },
  {
    name: 'a link of another user in a sticky folder',
    folder: '/tmp/link/run',
    places: { '/tmp': { mode: 0o1777 }, '/tmp/link': { uid: 8, link: '/run' } },
    want: '/tmp/link belongs to user number 8',
  },
  {
    name: 'links in a circle',
    folder: '/a/b',
    places: { '/a': { link: '/c' }, '/c': { link: '/a' } },
    want: '/a is a chain of too many symbolic links',
  },
]

test.each(cases)('$name', ({ folder, places, want }) => {
  expect(distrustOf(folder, 7, view(places))).toBe(want)
})

test('a missing folder is told by the system', () => {
  expect(() => distrustOf(resolve('/no-such-folder/here'))).toThrow('ENOENT')
})
