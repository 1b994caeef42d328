/**
 * The server side of bench/spamd-smtp.ts in its own process, measured over IPC: spamd's SMTP server with lists loaded
 * (`stutter`, and `grey` with a database), or a bare peer (`bare-wheel`, `bare-replies`).
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { makeRelease, planRelease } from '../src/app/release/release-mail.js'
import { noSenderChecks } from '../src/app/sender-check-config.js'
import { openSenderChecks } from '../src/daemon/checks/open-sender-checks.js'
import { Greylister } from '../src/daemon/grey/greylister.js'
import { BlockLists } from '../src/daemon/lists/block-lists.js'
import { SmtpServer } from '../src/daemon/smtp/smtp-server.js'
import { StoreKeeper } from '../src/daemon/store/store-keeper.js'
import { openStore } from '../src/db/open-store.js'
import { GREY_EXPIRE_SEC, PASS_SEC, TRAP_EXPIRE_SEC, WHITE_EXPIRE_SEC } from '../src/domain/times.js'
import { setOfPrefixes } from '../src/ip/prefix-ranges.js'
import { systemClock } from '../src/platform/clock.js'
import type { Logger } from '../src/platform/log.js'
import { createBareReplies, createBareWheel } from './bare-peers.js'

/** The thread that has spamd's database, from the build: a worker does not start from the sources. */
const { openStoreInWorker } = (await import(
  new URL('../dist/src/daemon/store/store-in-worker.js', import.meta.url).href
)) as typeof import('../src/daemon/store/store-in-worker.js')

const [mode = '', databasePath = ''] = process.argv.slice(2)
const LIST_SIZE = 100_000
/** Enabled in `grey-all`. */
const RELEASES = 20
/** The clients of the stutter runs, 127.66.0.0/16, are on the list. */
const CLIENT_NETWORK = 0x7f420000

interface Measured {
  port: number
  open: () => number
  waiting: () => number
  stop: () => Promise<void>
}

const measured =
  mode === 'bare-wheel'
    ? await startBare(createBareWheel())
    : mode === 'bare-replies'
      ? await startBare(createBareReplies())
      : await startSpamd()

process.on('message', (message) => {
  if (message === 'stop') void measured.stop().then(() => process.exit(0))
  else report()
})

process.send!({ port: measured.port })

function report(): void {
  const { user, system } = process.cpuUsage()
  process.send!({
    cpuSec: (user + system) / 1e6,
    rssKib: process.memoryUsage.rss() / 1024,
    open: measured.open(),
    waiting: measured.waiting(),
  })
}

/** Releases that apply to none of the mail. */
async function makeReleases(): Promise<void> {
  const store = await openStore(databasePath, { mode: 'write' })
  const nowSec = systemClock.nowSec()
  for (let number = 0; number < RELEASES; number += 1) {
    const terms = { from: `other${number}.example`, to: `user${number}@example.net` }
    await makeRelease(
      store,
      planRelease({ terms, scope: 'pool', forSec: 3600, actor: undefined }, nowSec),
      nowSec,
    )
  }
  await store.close()
}

/** Receives questions and never answers. */
async function deadNameServer(): Promise<string> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return `127.0.0.1:${socket.address().port}`
}

async function startBare(server: Server): Promise<Measured> {
  const port = await listen(server)
  let open = 0
  server.on('connection', (socket) => {
    open += 1
    socket.once('close', () => {
      open -= 1
    })
  })
  return { port, open: () => open, waiting: () => 0, stop: async () => void server.close() }
}

async function startSpamd(): Promise<Measured> {
  const logger: Logger = { log: () => undefined, flush: async () => undefined }
  const blockLists = loadedLists(logger)
  const keeper = new StoreKeeper({
    logger,
    open: async () => ({
      store: await openStoreInWorker(databasePath, { mode: 'write', create: true, durability: 'normal' }),
      isCreated: false,
    }),
  })
  const policy = {
    passSec: PASS_SEC,
    greyExpireSec: GREY_EXPIRE_SEC,
    whiteExpireSec: WHITE_EXPIRE_SEC,
    trapExpireSec: TRAP_EXPIRE_SEC,
    maxTuples: 5_000_000,
    maxTuplesPerAddress: 10_000,
  }
  if (mode === 'grey-all') await makeReleases()
  const common = { useStore: keeper.use, databasePath, policy, clock: systemClock, logger, blockLists }
  const senders =
    mode === 'grey-dead-dns' || mode === 'grey-all'
      ? openSenderChecks(
          {
            senders: {
              ...noSenderChecks(),
              spf: { domainsFile: undefined },
              dnswl: [{ zone: 'good.example', codes: [] }],
              dnsServers: [await deadNameServer()],
            },
          },
          { ...common, sync: undefined, onPromoted: () => undefined, onPool: () => undefined },
        )
      : undefined
  const greylister = new Greylister({
    ...common,
    checks: senders?.checks,
    ...(mode === 'grey-pools' || mode === 'grey-all' ? { greyPrefix4: 24, greyPrefix6: 64 } : {}),
  })
  let port = 0
  const server = new SmtpServer({
    options: {
      isBlackOnly: false,
      isVerbose: true,
      maxConnections: 25_000,
      maxBlack: 24_900,
      maxPerIp: undefined,
      maxSessionSec: 14_400,
      stutterSec: mode === 'stutter' ? 1 : 0,
      greyStutterSec: 0,
      windowBytes: undefined,
    },
    dialogue: {
      hostname: 'mx.example.org',
      bannerName: 'spamd IP-based SPAM blocker',
      listReplyCode: 450,
      maxRecipients: 1_000_000,
      maxCommands: 10_000_000,
    },
    secureContext: undefined,
    clock: systemClock,
    logger,
    debug: { out: () => undefined, err: () => undefined },
    lists: blockLists,
    sink: greylister,
    proxyPeers: [],
    openListeners: async () => {
      const listener = createServer()
      port = await listen(listener)
      return [listener]
    },
  })
  await server.start()
  return {
    port,
    open: () => server.counts.total,
    waiting: () => greylister.waitingCount,
    stop: async () => {
      server.close()
      await greylister.close()
      await senders?.checks.close()
      await keeper.close()
    },
  }
}

function loadedLists(logger: Logger): BlockLists {
  const blockLists = new BlockLists({ logger })
  const words = new Uint32Array(LIST_SIZE + 1)
  for (let index = 0; index < LIST_SIZE; index += 1) words[index] = (0x80000000 + index * 1024) >>> 0
  words[LIST_SIZE] = CLIENT_NETWORK
  const prefixLengths = new Uint8Array(LIST_SIZE + 1).fill(24)
  prefixLengths[LIST_SIZE] = 16
  blockLists.replaceSet(
    'bench',
    'Your address %A is listed\\nsee https://list.example/%A',
    setOfPrefixes(
      { count: LIST_SIZE + 1, words, prefixLengths },
      { count: 0, words: new Uint32Array(0), prefixLengths: new Uint8Array(0) },
    ),
    LIST_SIZE + 1,
  )
  return blockLists
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) =>
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
      resolve((server.address() as AddressInfo).port),
    ),
  )
}
