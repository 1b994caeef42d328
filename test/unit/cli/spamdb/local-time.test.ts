import { afterEach, expect, test, vi } from 'vitest'
import { LineBytes } from '../../../../src/cli/spamdb/line-bytes.js'
import { LocalTimeBytes, openLocalTime } from '../../../../src/cli/spamdb/local-time.js'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** Around changes of the offset: by an hour, by half an hour, and by minutes and seconds long ago. */
test.each([
  ['UTC', 1_700_000_000],
  ['Europe/Berlin', Date.UTC(2026, 9, 25, 1) / 1000],
  ['Australia/Lord_Howe', Date.UTC(2026, 3, 4, 15) / 1000],
  ['Asia/Kathmandu', Date.UTC(1985, 11, 31, 18, 30) / 1000],
  ['Africa/Monrovia', Date.UTC(1972, 0, 7, 0, 44, 30) / 1000],
])('bytes of local times are those of texts, in %s', (zone, around) => {
  vi.stubEnv('TZ', zone)
  const asText = openLocalTime()
  const asBytes = new LocalTimeBytes()
  const lines = new LineBytes()
  let wanted = ''
  const far = 8_640_000_000_000
  const times = Array.from({ length: 700 }, (_, n) => around + (n - 350) * 37)
  for (const time of [
    ...times,
    0,
    -1,
    61,
    253_402_300_799,
    253_402_300_800,
    -far,
    far,
    ...times.toReversed(),
  ]) {
    const text = asText(time)
    expect(asBytes.addTo(lines, time)).toBe(text.length)
    wanted += text
  }
  expect(Buffer.from(lines.bytes()).toString('latin1')).toBe(wanted)
})
