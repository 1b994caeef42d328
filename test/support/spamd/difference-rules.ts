/** The differences between spamd's transcripts and our spamd, by name, with our behaviour. The models compute them. */
export const DIFFERENCE_RULES: Readonly<Record<string, string>> = {
  'banner-uncut': 'a banner longer than the buffer of the original is not cut',
  'all-lists':
    'all lists that hold the client are named and reported, in the order in which they were received',
  'bad-address': 'a bad address costs its own line only: the list stays as it was',
  'config-rule':
    'a line the grammar allows is taken (a message may end in an escaped quote), one it forbids is refused',
  'damaged-record': 'records of a wrong size and keys that are no addresses cannot be stored',
  'default-ports': 'a service that services(5) does not know has its default port: spamd runs',
  'expired-anew': 'a tuple past its time counts as gone, also before the scan that removes it',
  'label-boundary': 'an allowed domain without @ or . in front matches at the border of a label only',
  'list-reply':
    'a correct multi-line reply: CODE- on all lines but the last, CR LF everywhere, nothing cut off',
  'mapped-is-ipv4': 'an IPv4-mapped block (::ffff:192.0.2.0/120) stands for its IPv4 addresses',
  'mx-spares-promoted':
    '-M does not trap an address whose tuple would be on record still, had its promotion not removed it',
  'no-pf-device':
    '/dev/pf is not opened: tables are changed by pfctl(8), whose failure is logged at the scan',
  nul: 'a line with a NUL byte is a line, and no command: 500',
  'oldest-tuple': 'spamdb -d -G removes the oldest of several tuples',
  overlap: 'overlapping blocks of a list are all matched',
  pipelined: 'all commands of a packet are answered, in order',
  'promoted-at-retry': 'an address is white as soon as its retry is seen, and its tuple is removed',
  'rset-clears': 'RSET forgets sender and recipient: a RCPT without MAIL makes no tuple',
  'says-on-stderr': 'the reason is printed on standard error as well as logged',
  'second-helo': 'HELO and EHLO are taken at any time and reset the transaction (RFC 5321 4.1.4)',
  'second-mail': 'MAIL within a transaction is answered with 503 (RFC 5321 4.1.4)',
  'long-name': 'an unknown long option is named, since there are long options now',
  'long-option': 'new abilities have long options',
  'maxblack-follows': '-c alone lowers the number of stuttered block-listed clients with it: spamd runs',
  'stray-word': 'a word that is no option is refused: "spamd start" would run a daemon that nobody meant',
  'usage-reason': 'a line that names the option and what is wrong with it stands before the usage',
  'sync-clock': 'a message whose clock is an hour off is ignored',
  'sync-deletion': 'deletions as greyd sends them (types 4 and 5) are understood',
  'sync-interface': 'the interfaces of -y and -Y are compared without their TTL: spamd runs',
  'sync-receiver':
    'a received expiry extends an entry and never shortens a trap; WHITE does not free a TRAPPED address',
  'sync-repeat': 'an exact repeat of a message is ignored',
  'sync-start-line': 'why synchronisation cannot start stands on one line, behind `sync init: `',
  'sync-strict': 'a message with a bad entry, a bad string or a bad length changes nothing at all',
  'sync-too-long': 'a message that receivers would get cut is not sent',
  'text-lines':
    'lines of the message text are told apart properly, also after a bare LF and within one packet',
  'text-quit': 'QUIT in the message text is text',
  'tls-forgets': 'what was said before STARTTLS is forgotten (RFC 3207 4.2)',
  'trap-needs-spamtrap': 'only a SPAMTRAP entry traps, not any entry under that text',
  'trap-time': 'a trap lasts trapexp from the last hit',
  ipv6: 'IPv6 entries are first-class: they stay, and stand in the table',
}
