import { expect, test } from 'vitest'
import { markLives, oldMarkSec } from '../../../src/domain/old-marks.js'

const DAY = 86_400

test('marks are kept as long as the longest life of what they concern, the default one elsewhere included', () => {
  const short = { whiteExpireSec: DAY, trapExpireSec: DAY, greyExpireSec: 60 }
  expect(markLives(short)).toEqual({ keepSec: 36 * DAY, keepTupleSec: 4 * 3600 })
  expect(markLives({ ...short, trapExpireSec: 50 * DAY, greyExpireSec: 8 * 3600 })).toEqual({
    keepSec: 50 * DAY,
    keepTupleSec: 8 * 3600,
  })
})

test('those of tuples and networks of pools go sooner', () => {
  const lives = { keepSec: 1000, keepTupleSec: 100 }
  const kinds = ['host', 'spamtrap', 'tuple', 'pool'] as const
  expect(kinds.map((kind) => oldMarkSec(kind, lives, 5000))).toEqual([4000, 4000, 4900, 4900])
})
