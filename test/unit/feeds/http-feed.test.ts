import type { LookupFunction } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { DEFAULT_FEED_LIMITS, FeedError, type FeedLimits, type FeedRequest } from '../../../src/feeds/feed.js'
import { FeedFetcher, type FetchResult } from '../../../src/feeds/feed-fetcher.js'
import { isInsideAddress } from '../../../src/feeds/inside-address.js'
import { type ListServer, startListServer, startRawServer } from '../../support/list-server.js'

const NOW_SEC = 1_700_000_000
/** Nothing here is about time but where a test says so: on a busy machine an answer may take seconds. */
const LIMITS: FeedLimits = {
  ...DEFAULT_FEED_LIMITS,
  maxBytes: 20 * 1024 * 1024,
  maxRedirects: 3,
}

const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

function serve(...args: Parameters<typeof startListServer>): Promise<ListServer> {
  return keep(startListServer(...args))
}

async function keep(starting: Promise<ListServer>): Promise<ListServer> {
  const server = await starting
  cleanups.push(() => server.close())
  return server
}

interface Fetched {
  text: string
  result: FetchResult<string>
  pausesMs: number[]
}

async function fetchText(
  request: FeedRequest,
  options: {
    limits?: Partial<FeedLimits>
    environment?: Record<string, string>
    isInside?: (address: string) => boolean
    lookup?: LookupFunction
  } = {},
): Promise<Fetched> {
  const pausesMs: number[] = []
  const fetcher = new FeedFetcher({
    limits: { ...LIMITS, ...options.limits },
    clock: { nowSec: () => NOW_SEC, monotonicMs: () => performance.now() },
    userAgent: () => 'spamdctl/0.1.0',
    environment: options.environment ?? {},
    findProgramUser: async () => undefined,
    isInside: options.isInside,
    lookup: options.lookup,
    sleep: async (durationMs) => {
      pausesMs.push(durationMs)
    },
    random: () => 0.5,
  })
  try {
    const result = await fetcher.fetch(request, async (body) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(Buffer.from(chunk))
      return Buffer.concat(chunks).toString('latin1')
    })
    return { text: result.kind === 'body' ? result.content : '', result, pausesMs }
  } finally {
    await fetcher.close()
  }
}

async function failureOf(promise: Promise<unknown>): Promise<FeedError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(FeedError)
  return error as FeedError
}

test('a plain list comes whole, asked for with our name', async () => {
  const server = await serve((_request, response) => response.end('192.0.2.1\n'))
  const { text } = await fetchText({ method: 'http', location: `${server.host}/list.txt` })
  expect(text).toBe('192.0.2.1\n')
  expect(server.requests[0]?.headers['user-agent']).toBe('spamdctl/0.1.0')
})

test.each([
  [404, 'the list has moved or is gone'],
  [410, 'the list has moved or is gone'],
  [400, undefined],
  // Nobody asked whether it had changed.
  [304, undefined],
])('status %i is a failure, its hint: %s', async (status, hint) => {
  const server = await serve((_request, response) => response.writeHead(status).end())
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect([error.code, error.hint]).toEqual(['ERR_FEED_STATUS', hint])
  expect(server.requests).toHaveLength(1)
})

test('404 is final, without a second request', async () => {
  const server = await serve((_request, response) => response.writeHead(404).end('<html>'))
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error).toMatchObject({ code: 'ERR_FEED_STATUS', isTransient: false })
  expect(error.message).toContain('404')
  expect(server.requests).toHaveLength(1)
})

test('500 and then 200 is a success after one growing pause', async () => {
  const server = await serve((_request, response) => {
    if (server.requests.length < 3) response.writeHead(500).end()
    else response.end('192.0.2.1\n')
  })
  const { text, pausesMs } = await fetchText({ method: 'http', location: server.host })
  expect(text).toBe('192.0.2.1\n')
  expect(pausesMs).toEqual([1_250, 2_500])
})

test('503 with Retry-After is not asked again in this run, and the time is handed on', async () => {
  const server = await serve((_request, response) => response.writeHead(503, { 'retry-after': '7200' }).end())
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error.notBeforeSec).toBe(NOW_SEC + 7_200)
  expect(server.requests).toHaveLength(1)
})

test.each([403, 429])('%i means: not before tomorrow', async (status) => {
  const server = await serve((_request, response) => response.writeHead(status).end())
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error.notBeforeSec).toBeGreaterThanOrEqual(NOW_SEC + 12 * 3_600)
  expect(error.notBeforeSec).toBeLessThanOrEqual(NOW_SEC + 86_400)
  expect(server.requests).toHaveLength(1)
})

test('validators are sent back as they came, and 304 is success', async () => {
  const server = await serve((request, response) => {
    if (request.headers['if-none-match'] === '"v1"') {
      response.writeHead(304, { 'cache-control': 'max-age=10800' }).end()
    } else {
      response.writeHead(200, { etag: '"v1"', 'last-modified': 'Tue, 14 Nov 2023 22:13:20 GMT' }).end('x')
    }
  })
  const first = await fetchText({ method: 'http', location: server.host })
  const validator = first.result.kind === 'body' ? first.result.validator : {}
  expect(validator).toEqual({ etag: '"v1"', lastModified: 'Tue, 14 Nov 2023 22:13:20 GMT' })
  const second = await fetchText({ method: 'http', location: server.host, validator })
  expect(second.result).toEqual({ kind: 'unchanged', freshUntilSec: NOW_SEC + 10_800 })
  expect(server.requests[1]?.headers['if-modified-since']).toBe('Tue, 14 Nov 2023 22:13:20 GMT')
})

test('a slow drip ends at the total time-out', async () => {
  const server = await serve((_request, response) => {
    const timer = setInterval(() => response.write('1'), 50)
    response.on('close', () => clearInterval(timer))
  })
  const error = await failureOf(
    fetchText({ method: 'http', location: server.host }, { limits: { maxAttempts: 1, totalTimeoutMs: 700 } }),
  )
  expect(error.code).toBe('ERR_FEED_TIMEOUT')
  expect(error.message).toContain('not complete after 0.7 s')
})

test.each(['before the answer', 'within the body'])('a server that hangs %s is given up', async (place) => {
  const server = await serve((_request, response) => {
    if (place === 'within the body') response.write('192.0.2.1\n')
  })
  const error = await failureOf(
    fetchText({ method: 'http', location: server.host }, { limits: { maxAttempts: 1, idleTimeoutMs: 300 } }),
  )
  expect(error).toMatchObject({ code: 'ERR_FEED_TIMEOUT', isTransient: true })
})

test('a reset in mid-body is a truncated list, tried again', async () => {
  const server = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('192.0.2.1\n', () => response.socket?.resetAndDestroy())
  })
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error.code).toBe('ERR_FEED_TRUNCATED')
  expect(server.requests).toHaveLength(3)
})

test('a body shorter than its Content-Length is a truncated list', async () => {
  const server = await keep(
    startRawServer((socket) =>
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 500\r\nConnection: close\r\n\r\n192.0.2.1\n'),
    ),
  )
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error.code).toBe('ERR_FEED_TRUNCATED')
})

test('a chunked body without its last chunk is a truncated list', async () => {
  const server = await keep(
    startRawServer((socket) =>
      socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n192.0.2.1\n\r\n'),
    ),
  )
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error.code).toBe('ERR_FEED_TRUNCATED')
})

test('a server that does not speak HTTP is refused', async () => {
  const server = await keep(startRawServer((socket) => socket.end('220 ftp ready\r\n')))
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error.message).toBe('the answer is not HTTP')
})

const LIST = '192.0.2.1\n'.repeat(2_000)
const gzipCases: { name: string; body: Uint8Array; headers?: Record<string, string>; want: string }[] = [
  { name: 'a .gz file', body: gzipSync(LIST), want: LIST },
  {
    name: 'Content-Encoding: gzip',
    body: gzipSync(LIST),
    headers: { 'content-encoding': 'gzip' },
    want: LIST,
  },
  {
    name: 'a .gz file compressed again for the transfer',
    body: gzipSync(gzipSync(LIST)),
    headers: { 'content-encoding': 'gzip' },
    want: LIST,
  },
  { name: 'concatenated members', body: Buffer.concat([gzipSync('a\n'), gzipSync('b\n')]), want: 'a\nb\n' },
  {
    name: 'bytes behind the last member',
    body: Buffer.concat([gzipSync('a\n'), Buffer.from('junk')]),
    want: 'a\n',
  },
  { name: 'an empty member', body: gzipSync(''), want: '' },
]
test.each(gzipCases)('gzip is recognised by its first bytes: $name', async ({ body, headers, want }) => {
  const server = await serve((_request, response) => response.writeHead(200, headers).end(body))
  const { text } = await fetchText({ method: 'http', location: server.host })
  expect(text).toBe(want)
})

test.each([1, 4, 8, 9, 30])('a gzip stream cut %i bytes before its end is a failure', async (missing) => {
  const body = gzipSync(LIST)
  const server = await serve((_request, response) => response.end(body.subarray(0, body.length - missing)))
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error).toMatchObject({ code: 'ERR_FEED_GZIP', message: 'the compressed data ends too early' })
})

test('a gzip stream with a wrong checksum is a failure', async () => {
  const body = gzipSync(LIST)
  body[body.length - 6]! ^= 1
  const server = await serve((_request, response) => response.end(body))
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error).toMatchObject({ code: 'ERR_FEED_GZIP', message: 'the compressed data is damaged' })
})

test('a gzip bomb is stopped by its ratio', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const server = await serve((_request, response) => response.end(bomb))
  const error = await failureOf(
    fetchText(
      { method: 'http', location: server.host },
      { limits: { maxBytes: 2 ** 30, totalTimeoutMs: 20_000 } },
    ),
  )
  expect(error).toMatchObject({ code: 'ERR_FEED_GZIP', isTransient: false })
})

test('more bytes than --max-bytes are refused, compressed or not', async () => {
  const server = await serve((request, response) =>
    response.end(request.url === '/gz' ? gzipSync(LIST) : LIST),
  )
  for (const path of ['/', '/gz']) {
    const error = await failureOf(
      fetchText({ method: 'http', location: `${server.host}${path}` }, { limits: { maxBytes: 15_000 } }),
    )
    expect(error.code).toBe('ERR_FEED_TOO_BIG')
    expect(error.hint).toContain('--max-bytes')
  }
})

test('redirects are followed within their limit', async () => {
  const server = await serve((request, response) => {
    const step = Number(request.url?.slice(1))
    if (step === 0) response.end('there\n')
    else response.writeHead(302, { location: `/${step - 1}` }).end()
  })
  expect((await fetchText({ method: 'http', location: `${server.host}/3` })).text).toBe('there\n')
  const error = await failureOf(fetchText({ method: 'http', location: `${server.host}/4` }))
  expect(error).toMatchObject({ code: 'ERR_FEED_REDIRECT', message: 'more than 3 redirects' })
})

test('a redirect loop ends', async () => {
  const server = await serve((_request, response) => response.writeHead(301, { location: '/' }).end())
  const error = await failureOf(fetchText({ method: 'http', location: `${server.host}/` }))
  expect(error.code).toBe('ERR_FEED_REDIRECT')
  expect(server.requests).toHaveLength(4)
})

test.each(['ftp://192.0.2.1/x', 'file:///etc/passwd', 'http://[', undefined])(
  'a redirect to %s is refused',
  async (location) => {
    const server = await serve((_request, response) =>
      response.writeHead(302, location === undefined ? {} : { location }).end(),
    )
    const error = await failureOf(fetchText({ method: 'http', location: server.host }))
    expect(error.code).toBe('ERR_FEED_REDIRECT')
  },
)

describe('redirects from the Internet to the inside', () => {
  /** 127.0.0.1 stands for the Internet, ::1 for the inside. */
  const isInside = (address: string): boolean => address === '::1'
  /** Answers with these addresses, one after the other, and with the last one from then on. */
  const lookupOf =
    (...addresses: string[]): LookupFunction =>
    (_name, { all }, callback) => {
      const address = addresses.length > 1 ? addresses.shift()! : addresses[0]!
      const family = address.includes(':') ? 6 : 4
      if (all === true) callback(null, [{ address, family }])
      else callback(null, address, family)
    }
  const insideServer = () => serve((_request, response) => response.end('secret\n'), { host: '::1' })
  const redirecting = (location: string) =>
    serve((_request, response) => response.writeHead(302, { location }).end())
  const refused = expect.stringMatching(
    /^redirect from the Internet to a private address \(.*\) refused$/,
  ) as string

  test('are refused by address, unless they are allowed', async () => {
    const inside = await insideServer()
    const server = await redirecting(`http://${inside.host}/`)
    const request: FeedRequest = { method: 'http', location: `${server.host}/` }
    const error = await failureOf(fetchText(request, { isInside }))
    expect(error).toMatchObject({ code: 'ERR_FEED_REDIRECT', message: refused, isTransient: false })
    expect(error.hint).toContain(':allow_private:')
    expect(inside.requests).toHaveLength(0)
    expect((await fetchText({ ...request, isPrivateAllowed: true }, { isInside })).text).toBe('secret\n')
  })

  test('are refused by what a name leads to when the connection is made', async () => {
    const inside = await insideServer()
    const server = await redirecting(`http://inside.example:${inside.port}/`)
    const options = { isInside, lookup: lookupOf('::1') }
    const error = await failureOf(fetchText({ method: 'http', location: `${server.host}/` }, options))
    expect(error).toMatchObject({ code: 'ERR_FEED_REDIRECT', message: refused })
    expect(inside.requests).toHaveLength(0)
  })

  test('are refused when the name of the server itself leads there the second time', async () => {
    const inside = await insideServer()
    const server = await redirecting(`http://list.example:${inside.port}/`)
    const options = { isInside, lookup: lookupOf('127.0.0.1', '::1') }
    const location = `list.example:${server.port}/`
    const error = await failureOf(fetchText({ method: 'http', location }, options))
    expect(error).toMatchObject({ code: 'ERR_FEED_REDIRECT', message: refused })
    expect(inside.requests).toHaveLength(0)
  })

  test('are refused after a detour, and with a proxy as far as names tell', async () => {
    const inside = await insideServer()
    const last = await redirecting(`http://${inside.host}/`)
    const server = await redirecting(`http://${last.host}/`)
    const request: FeedRequest = { method: 'http', location: `${server.host}/` }
    expect(await failureOf(fetchText(request, { isInside }))).toMatchObject({ message: refused })
    const environment = { http_proxy: 'http://127.0.0.1:1', no_proxy: '*' }
    expect(await failureOf(fetchText(request, { isInside, environment }))).toMatchObject({ message: refused })
    expect(inside.requests).toHaveLength(0)
  })

  test('are followed where the first server is of the inside too, or the second is not', async () => {
    const target = await serve((_request, response) => response.end('there\n'))
    const inside = await serve(
      (_request, response) => response.writeHead(302, { location: `http://[::1]:${other.port}/` }).end(),
      { host: '::1' },
    )
    const other = await insideServer()
    expect((await fetchText({ method: 'http', location: `${inside.host}/` }, { isInside })).text).toBe(
      'secret\n',
    )
    const server = await redirecting(`http://outside.example:${target.port}/`)
    const options = { isInside, lookup: lookupOf('127.0.0.1') }
    expect((await fetchText({ method: 'http', location: `${server.host}/` }, options)).text).toBe('there\n')
  })

  test.each([
    '127.0.0.1',
    '127.255.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '0.0.0.0',
    '100.64.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::192.168.0.1',
    '2002:a00:1::1',
  ])('%s is of the inside', (address) => {
    expect(isInsideAddress(address)).toBe(true)
  })

  test.each([
    '8.8.8.8',
    '172.32.0.1',
    '172.15.255.255',
    '192.169.0.1',
    '11.0.0.0',
    '9.255.255.255',
    '100.128.0.1',
    '100.63.255.255',
    '126.255.255.255',
    '128.0.0.1',
    '169.253.255.255',
    '223.255.255.255',
    '2606:4700::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2002:808:808::1',
    'list.example',
  ])('%s is not', (address) => {
    expect(isInsideAddress(address)).toBe(false)
  })
})

test('the user and password of the source stay with its server', async () => {
  const other = await serve((_request, response) => response.end('x'))
  const server = await serve((_request, response) =>
    response.writeHead(302, { location: `http://${other.host}/` }).end(),
  )
  await fetchText({ method: 'http', location: `user:p%40ss@${server.host}/` })
  expect(server.requests[0]?.headers.authorization).toBe(`Basic ${btoa('user:p@ss')}`)
  expect(other.requests[0]?.headers.authorization).toBeUndefined()
})

test('a self-signed certificate is refused with the way to trust it', async () => {
  const server = await serve((_request, response) => response.end('x'), { isTls: true })
  const error = await failureOf(fetchText({ method: 'https', location: server.host }))
  expect(error.code).toBe('ERR_FEED_TLS')
  expect(error.hint).toContain('NODE_EXTRA_CA_CERTS')
  expect(server.requests).toHaveLength(0)
})

test('a server that only has IPv6 is reached', async () => {
  const server = await serve((_request, response) => response.end('2001:db8::1\n'), { host: '::1' })
  expect((await fetchText({ method: 'http', location: `${server.host}/` })).text).toBe('2001:db8::1\n')
})

test('nobody listening is a failure that may pass', async () => {
  const server = await startListServer(() => undefined)
  await server.close()
  const error = await failureOf(fetchText({ method: 'http', location: server.host }))
  expect(error).toMatchObject({ code: 'ERR_FEED_CONNECT', isTransient: true })
  expect(error.message).toBe('cannot connect: Connection refused')
})

test('something that is no URL is refused with the way to write it', async () => {
  const error = await failureOf(fetchText({ method: 'http', location: 'www.example.org:port/list.txt' }))
  expect(error).toMatchObject({ code: 'ERR_FEED_URL', message: 'not a URL' })
})

test('the proxy of the environment is used, and no_proxy respected', async () => {
  const target = await serve((_request, response) => response.end('direct\n'))
  const connects: string[] = []
  const proxy = await keep(
    startRawServer((socket) => {
      connects.push('asked')
      socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')
    }),
  )
  const environment = { http_proxy: `http://${proxy.host}` }
  await failureOf(
    fetchText({ method: 'http', location: `${target.host}/` }, { environment, limits: { maxAttempts: 1 } }),
  )
  expect(connects).toHaveLength(1)
  const { text } = await fetchText(
    { method: 'http', location: `${target.host}/` },
    { environment: { ...environment, no_proxy: '127.0.0.1' } },
  )
  expect(text).toBe('direct\n')
})

test.each([
  ['https_proxy', {}],
  ['HTTPS_PROXY', {}],
  ['http_proxy', {}],
  ['https_proxy', { http_proxy: 'http://127.0.0.1:1' }],
] as const)('%s carries a list that comes by https', async (variable, more) => {
  const heads: string[] = []
  const proxy = await keep(
    startRawServer((socket, head) => {
      heads.push(head.split('\r\n', 1)[0]!)
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
    }),
  )
  const environment = { ...more, [variable]: `http://${proxy.host}` }
  await failureOf(
    fetchText({ method: 'https', location: 'list.example/x' }, { environment, limits: { maxAttempts: 1 } }),
  )
  expect(heads).toEqual(['CONNECT list.example:443 HTTP/1.1'])
})

test('a proxy variable that holds no URL is named', async () => {
  const error = await failureOf(
    fetchText({ method: 'http', location: '127.0.0.1/' }, { environment: { http_proxy: 'squid:3128:x' } }),
  )
  expect(error.hint).toContain('http_proxy')
})
