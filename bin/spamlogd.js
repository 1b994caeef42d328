#!/usr/bin/env node
import { execute } from '@oclif/core'

await execute({ dir: import.meta.url, args: ['spamlogd', ...process.argv.slice(2)] })
