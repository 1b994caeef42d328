// `npm start`: the whole suite on one machine, without root, in a scratch folder. Its output is that of the real
// programs; the tour fails if one of them fails or if the result is not as expected.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { reservePort } from '../test/support/reserve-port.js'

const root = resolve(import.meta.dirname, '..')
const examples = join(root, 'docs/examples')
const scratch = mkdtempSync(join(tmpdir(), 'spamdctl-tour-'))
const [smtpPort, cfgPort] = [await reservePort(), await reservePort()]
const environment = {
  ...process.env,
  SPAMD_DB: join(scratch, 'spamd.sqlite'),
  SPAMD_CONF: join(scratch, 'spamd.conf'),
  SPAMD_STATE_DIR: join(scratch, 'lists'),
  SPAMD_KEY: join(scratch, 'spamd.key'),
  SPAMD_ALLOWEDDOMAINS: join(scratch, 'spamd.alloweddomains'),
  SPAMD_CONTROL_SOCKET: join(scratch, 'spamd.sock'),
  SPAMD_FIREWALL: 'none',
  SPAMD_PORT: String(smtpPort),
  SPAMD_CFG_PORT: String(cfgPort),
  SPAMD_USER: userInfo().username,
}
/** The daemon's passtime in the tour. */
const PASS_SEC = 2
let daemon

try {
  await tour()
} finally {
  daemon?.kill('SIGKILL')
  rmSync(scratch, { recursive: true, force: true })
}

async function tour() {
  say('1. A database: import a sample, add a spamtrap, whitelist an address, list everything')
  run('spamdctl', ['init-db'])
  cpSync(join(examples, 'sample-spamdb.txt'), join(scratch, 'sample.txt'))
  run('spamdctl', ['import', 'sample.txt'])
  run('spamdb', ['-T', '-a', 'trap@example.org'])
  run('spamdb', ['-a', '192.0.2.10'])
  run('spamdb', [])
  run('spamdb', ['--human', '--kind', 'WHITE'])

  say('2. The packet log: who wrote to us, and whom we wrote to, stays white')
  cpSync(join(examples, 'sample.pcap'), join(scratch, 'sample.pcap'))
  run('spamlogd', ['-D', '-r', 'sample.pcap'])

  say('3. The daemon: greylisting with a pass time of two seconds')
  daemon = await startDaemon()

  say('4. Block lists: fetched from a web server, white list subtracted, loaded into the daemon')
  const lists = await serveLists()
  writeFileSync(
    environment.SPAMD_CONF,
    [
      'all:\\\n\t:badhosts:friends:mine:\n',
      // A local list may contain any address; special-use addresses, such as loopback, are removed from downloaded
      // lists.
      `mine:\\\n\t:black:\\\n\t:msg="Your address %A is on our list\\nAsk postmaster@example.org":\\\n\t:method=file:\\\n\t:file=${join(scratch, 'mine.txt')}:\n`,
      `badhosts:\\\n\t:black:\\\n\t:msg="Your address %A is on our list\\nAsk postmaster@example.org":\\\n\t:method=http:\\\n\t:file=127.0.0.1\\c${lists.address().port}/badhosts.txt:\n`,
      `friends:\\\n\t:white:\\\n\t:method=file:\\\n\t:file=${join(scratch, 'friends.txt')}:\n`,
    ].join(''),
  )
  writeFileSync(join(scratch, 'friends.txt'), '127.0.0.1\n')
  writeFileSync(join(scratch, 'mine.txt'), '127.0.0.2\n')
  await runAsync('spamd-setup', ['-d', '--config-socket', environment.SPAMD_CONTROL_SOCKET])
  await runAsync('spamdctl', ['lists'])
  lists.close()

  say('5. A stranger tries to deliver mail')
  const from = 'alice@example.net'
  const to = 'bob@example.org'
  await attempt('first try', '127.0.0.1', from, to, /^451 /)
  await attempt('again at once', '127.0.0.1', from, to, /^451 /)
  const firstTrySec = Math.floor(Date.now() / 1000)
  await until(() => Math.floor(Date.now() / 1000) > firstTrySec + PASS_SEC, 10_000)
  await attempt('a retry after it', '127.0.0.1', from, to, /^451 /)
  run('spamdb', ['127.0.0.1'], /^WHITE\|127\.0\.0\.1\|/m)

  say('6. A spammer writes to the spamtrap, and a listed one connects')
  await attempt('to the trap', '127.0.0.3', 'spammer@example.com', 'trap@example.org', /^451 /)
  run('spamdb', ['127.0.0.3'], /^TRAPPED\|127\.0\.0\.3\|/m)
  await attempt('a listed host', '127.0.0.2', 'spammer@example.com', to, /^450[- ]/)

  daemon.kill('SIGTERM')
  const [exitCode] = await once(daemon, 'exit')
  if (exitCode !== 0) throw new Error(`spamd ended with ${exitCode}`)

  say('Done. Everything was in a scratch folder, which has been removed. To continue:')
  console.log(`  sudo node bin/spamdctl.js init-db           # create the shared database
  sudo node bin/spamdb.js                     # list it
  node bin/spamdctl.js lists catalogue        # spamd.conf records of maintained block lists
  node bin/spamdctl.js --help                 # every command; manual pages are in docs/man`)
}

function say(text) {
  console.log(`\n== ${text}`)
}

function show(text) {
  process.stdout.write(text.trimEnd().replace(/^/gm, '  ') + (text === '' ? '' : '\n'))
}

function showCommand(program, args) {
  const words = [program, ...args].map((word) => (/^[\w@.,:/+=-]+$/.test(word) ? word : `'${word}'`))
  console.log(`$ ${words.join(' ').replaceAll(`${scratch}/`, '')}`)
}

function startProgram(program, args, options) {
  return spawn(process.execPath, [join(root, 'bin', `${program}.js`), ...args], {
    cwd: scratch,
    env: environment,
    ...options,
  })
}

/** Runs a program to its end, shows what it printed, and fails unless it succeeded and printed `expected`. */
function run(program, args, expected = /(?:)/) {
  showCommand(program, args)
  const result = spawnSync(process.execPath, [join(root, 'bin', `${program}.js`), ...args], {
    cwd: scratch,
    env: environment,
    encoding: 'utf8',
  })
  judge(program, result.status, result.stdout + result.stderr, expected)
}

/** As `run`, while servers in this process keep running. */
async function runAsync(program, args, expected = /(?:)/) {
  showCommand(program, args)
  const child = startProgram(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part) => (text += part))
  const [exitCode] = await once(child, 'close')
  judge(program, exitCode, text, expected)
}

function judge(program, exitCode, text, expected) {
  if (text !== '') show(text.replaceAll(`${scratch}/`, ''))
  if (exitCode !== 0) throw new Error(`${program} ended with ${exitCode}`)
  if (!expected.test(text)) throw new Error(`${program} did not print what it should: ${expected}`)
}

async function startDaemon() {
  const args = [
    '--foreground',
    '-v',
    '-s',
    '0',
    '-S',
    '0',
    '-G',
    `${PASS_SEC}s:4h:36d`,
    '-h',
    'mx.example.org',
    '--config-socket',
    environment.SPAMD_CONTROL_SOCKET,
  ]
  showCommand('spamd', args)
  const child = startProgram('spamd', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (part) => (log += part))
  await until(() => log.includes('listening for incoming connections') || child.exitCode !== null, 20_000)
  show(log)
  if (child.exitCode !== null) throw new Error(`spamd ended with ${child.exitCode}`)
  return child
}

async function serveLists() {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/plain')
    response.end('# hosts that sent spam\n203.0.113.0/24 ; a whole network\n2001:db8:bad::/48\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** One delivery attempt up to DATA; shows the last reply and fails unless it is as expected. */
async function attempt(what, localAddress, from, to, expected) {
  const socket = connect({ port: smtpPort, host: '127.0.0.1', localAddress })
  socket.setEncoding('latin1')
  const commands = [
    'EHLO mail.example.net',
    `MAIL FROM:<${from}>`,
    `RCPT TO:<${to}>`,
    'DATA',
    'Subject: tour\r\n\r\nHello\r\n.',
  ]
  let reply = ''
  for await (const part of socket) {
    reply += part
    if (!/^\d{3} [^\n]*\n$/m.test(reply)) continue
    const isFinal = /^4/.test(reply) || commands.length === 0
    if (isFinal) break
    reply = ''
    socket.write(`${commands.shift()}\r\n`)
  }
  socket.destroy()
  reply = reply.replaceAll('\r', '')
  show(`${what} (${localAddress}, ${from} to ${to}):\n${reply.replace(/^/gm, '  ')}`)
  if (!expected.test(reply)) throw new Error(`expected ${expected}`)
}

/** Waits until a condition holds; fails after the time limit. */
async function until(isSo, limitMs) {
  const deadline = Date.now() + limitMs
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error('waited too long')
    await new Promise((resolvePause) => setTimeout(resolvePause, 25))
  }
}
