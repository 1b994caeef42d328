/**
 * Output of `pfctl -si` on a machine with some traffic; the numbers are those of the recording. `v` marks lines that
 * only -v shows.
 */
const INFO = [
  ['', ''],
  ['v', 'Hostid:   0x1a2b3c4d'],
  ['v', 'Checksum: 0x00000000000000000000000000000000'],
  ['v', ''],
  ['', 'State Table                          Total             Rate'],
  ['', '  current entries                        3               '],
  ['', '  half-open tcp                          0               '],
  ['', '  searches                          937840           10.0/s'],
  ['', '  inserts                             1200            0.0/s'],
  ['', '  removals                            1197            0.0/s'],
  ['v', 'Source Tracking Table'],
  ['v', '  current entries                        0               '],
  ['v', '  searches                               0            0.0/s'],
  ['v', '  inserts                                0            0.0/s'],
  ['v', '  removals                               0            0.0/s'],
  ['v', 'Fragments'],
  ['v', '  current entries                        0               '],
  ['v', '  searches                               0            0.0/s'],
  ['v', '  inserts                                0            0.0/s'],
  ['v', '  removals                               0            0.0/s'],
  ['', 'Counters'],
  ['', '  match                               4321            0.0/s'],
  ['', '  bad-offset                             0            0.0/s'],
  ['', '  fragment                               0            0.0/s'],
  ['', '  short                                  0            0.0/s'],
  ['', '  normalize                              0            0.0/s'],
  ['', '  memory                                 0            0.0/s'],
  ['', '  bad-timestamp                          0            0.0/s'],
  ['', '  congestion                             0            0.0/s'],
  ['', '  ip-option                              0            0.0/s'],
  ['', '  proto-cksum                            0            0.0/s'],
  ['', '  state-mismatch                         0            0.0/s'],
  ['', '  state-insert                           0            0.0/s'],
  ['', '  state-limit                            0            0.0/s'],
  ['', '  src-limit                              0            0.0/s'],
  ['', '  synproxy                               0            0.0/s'],
  ['', '  translate                              0            0.0/s'],
  ['', '  no-route                               0            0.0/s'],
  ['v', 'Limit Counters'],
  ['v', '  max states per rule                    0            0.0/s'],
  ['v', '  max-src-states                         0            0.0/s'],
  ['v', '  max-src-nodes                          0            0.0/s'],
  ['v', '  max-src-conn                           0            0.0/s'],
  ['v', '  max-src-conn-rate                      0            0.0/s'],
  ['v', '  overload table insertion               0            0.0/s'],
  ['v', '  overload flush states                  0            0.0/s'],
  ['v', '  synfloods detected                     0            0.0/s'],
  ['v', '  syncookies sent                        0            0.0/s'],
  ['v', '  syncookies validated                   0            0.0/s'],
  ['v', 'Adaptive Syncookies Watermarks'],
  ['v', '  start                              25000 states'],
  ['v', '  end                                12500 states'],
]

/** Lines of `-si`. */
export function showInfo(isRunning, verbosity) {
  const status = isRunning ? 'Status: Enabled for 1 days 02:03:04' : 'Status: Disabled for 1 days 02:03:04'
  const shown = INFO.filter(([mark]) => mark === '' || verbosity > 0).map(([, line]) => line)
  return [`${status.padEnd(44)}${'Debug: err'.padStart(15)}`, ...shown]
}
