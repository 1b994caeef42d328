/** A client that can be told what to do, from any address of the outside machine. */
import type { Machine } from './machine.js'

export interface Probe {
  /** Last code of the dialogue; 0 when the connection broke off. */
  code: number
  text: string
  /** Seconds until the first three bytes of the banner were there. */
  bannerSec: number
}

const SCRIPT = `
import json, socket, sys, time
server, source, sender, recipient, helo = sys.argv[1:6]
start = time.time()
s = socket.create_connection((server, 25), timeout=120, source_address=(source, 0))
got = b''
while len(got) < 3: got += s.recv(1)
banner = time.time() - start
f = s.makefile('rb')
def reply(start=b''):
    lines = []
    while True:
        line = start + f.readline(); start = b''
        if not line: raise ConnectionError('closed')
        lines.append(line.decode('latin-1').rstrip())
        if line[3:4] != b'-': return lines
code, text = 0, ''
try:
    last = reply(got)
    for command in ['EHLO ' + helo, 'MAIL FROM:<%s>' % sender, 'RCPT TO:<%s>' % recipient, 'DATA',
                    'X-Lab-Id: %s\\r\\n\\r\\nhello\\r\\n.' % helo]:
        s.sendall(command.encode() + b'\\r\\n')
        last = reply()
        if last[0][0] not in '23': break
    code, text = int(last[0][:3]), '\\n'.join(last)
except OSError as error:
    text = str(error)
print(json.dumps({'code': code, 'text': text, 'bannerSec': banner}))
`

/** Says a whole dialogue from `source` to `server` and tells how it ended. */
export async function probe(
  machine: Machine,
  server: string,
  source: string,
  options: { from?: string; to?: string; helo?: string } = {},
): Promise<Probe> {
  const { from = 'probe@sender.example', to = 'reader@example.org', helo = 'probe.example' } = options
  return JSON.parse(await machine.run('python3', '-c', SCRIPT, server, source, from, to, helo)) as Probe
}
