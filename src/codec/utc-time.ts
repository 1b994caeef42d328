/**
 * A time as ISO 8601 in UTC, to the second, as in all JSON output except that of spamdb; `timeSec` is in whole
 * seconds since the Epoch.
 *
 * @example formatUtcTime(1_700_000_000) // '2023-11-14T22:13:20Z'
 */
export function formatUtcTime(timeSec: number): string {
  return new Date(timeSec * 1000).toISOString().replace('.000', '')
}
